"""Masks: packing, hashing, checking."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from probing_bridge.pruning.masks import Mask, MaskError


def masks(draw):
    shapes = draw(st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=3), max_size=4))
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    return Mask({f"p{i}": torch.from_numpy(rng.random(shape) > 0.4) for i, shape in enumerate(shapes)})


@settings(max_examples=50, deadline=None)
@given(st.composite(masks)())
def test_packed_masks_come_back_the_same(mask):
    again = Mask.unpack(mask.pack())
    assert again.kept.keys() == mask.kept.keys()
    assert all(torch.equal(again.kept[name], kept) for name, kept in mask.kept.items())
    assert again.hash() == mask.hash()
    assert len(mask.pack()["bits"]) == sum((kept.numel() + 7) // 8 for kept in mask.kept.values())


def test_hash_depends_on_name_shape_and_bits():
    bits = torch.tensor([[True, False], [True, True]])
    others = [{"b": bits}, {"a": bits.view(4)}, {"a": ~bits}, {"a": bits, "b": bits}]
    hashes = {Mask(kept).hash() for kept in [{"a": bits}, *others]}
    assert len(hashes) == 5


def test_check_names_the_weight_that_is_alive():
    mask = Mask({"a": torch.tensor([True, False]), "b": torch.tensor([False])})
    mask.check({"a": torch.tensor([0.0, -0.0]), "b": torch.tensor([0.0])})
    with pytest.raises(MaskError, match=r"b has 1 pruned weight\(s\) that are not zero"):
        mask.check({"a": torch.tensor([5.0, 0.0]), "b": torch.tensor([float("nan")])})
    with pytest.raises(MaskError, match="another model"):
        mask.check({"a": torch.zeros(3), "b": torch.zeros(1)})
    with pytest.raises(MaskError, match="which the model has not"):
        mask.check({"a": torch.zeros(2)})


def test_zeroing_gives_positive_zeros_even_of_nan():
    mask = Mask({"a": torch.tensor([True, False, False])})
    weight = torch.tensor([-1.0, -2.0, float("nan")])
    mask.zero_({"a": weight})
    assert weight.tolist() == [-1.0, 0.0, 0.0] and not torch.signbit(weight[1:]).any()


def test_a_damaged_mask_is_refused():
    stored = Mask({"a": torch.ones(20, dtype=torch.bool)}).pack()
    stored["bits"] = stored["bits"][:-1]
    with pytest.raises(MaskError, match="2 bytes instead of 3"):
        Mask.unpack(stored)


def test_masks_only_shrink():
    more, less = (Mask({"a": torch.tensor(kept)}) for kept in ([True, True, False], [True, False, False]))
    assert more.shrinks_to(less) and not less.shrinks_to(more) and not more.shrinks_to(Mask({}))
    assert less.sparsity == pytest.approx(2 / 3)
