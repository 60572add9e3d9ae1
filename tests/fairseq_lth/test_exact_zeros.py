"""Pruned weights stay exactly zero: in every precision that runs on a CPU, and under every optimizer."""

import argparse
import re
from types import SimpleNamespace

import pytest
import torch
from fairseq import optim
from omegaconf import OmegaConf
from precisions import PRECISIONS

from fairseq_lth.training.zeros import GradientMasks, inner_optimizers, zero_pruned
from probing_bridge.pruning.criteria import prunable_parameters
from probing_bridge.pruning.masks import Mask


@pytest.mark.parametrize(
    "precision", [pytest.param(name, marks=pytest.mark.slow) if name == "amp" else name for name in PRECISIONS]
)
def test_zeros_after_every_update(train, flags, tmp_path, precision):
    extra = PRECISIONS[precision]
    train([*flags, *extra, "--save-dir", tmp_path], check=True, fake_cuda="flat" in precision).succeed()
    model = torch.load(tmp_path / "checkpoint_lth2.pt", weights_only=True)["model"]
    prunable = [weight for name, weight in model.items() if re.search(r"(_proj|_projection|fc.)\.(weight|bias)", name)]
    pruned = sum(int(weight.eq(0).sum()) for weight in prunable)
    n_weights = sum(weight.numel() for weight in prunable)
    first = round(0.3 * n_weights)
    assert pruned == first + round(0.3 * (n_weights - first))


class OnAnotherDevice(torch.Tensor):
    """A tensor that takes masks of its own device only, as those of two real devices do."""

    device = torch.device("meta")
    mask = None

    def masked_fill_(self, mask, value):
        assert mask.device == self.device
        self.mask, self.value = mask, value
        return self


def test_optimizer_states_of_a_checkpoint_may_lie_on_another_device_than_the_weights():
    """fairseq's memory-efficient optimizers keep what was loaded on the CPU until the next step."""
    weight = torch.nn.Parameter(torch.ones(2, 3))
    states = {"exp_avg": torch.ones(2, 3).as_subclass(OnAnotherDevice), "exp_avg_sq": torch.ones(2, 3), "step": 4}
    inner = SimpleNamespace(param_groups=[{"params": [weight]}], state={weight: states})
    mask = Mask({"weight": torch.tensor([[True, False, True], [False, False, True]])})
    zero_pruned(mask, {"weight": weight}, SimpleNamespace(optimizer=inner))
    for tensor in (weight, states["exp_avg_sq"]):
        assert torch.equal(tensor.ne(0), mask.kept["weight"])
    assert states["exp_avg"].mask.shape == (2, 3) and states["exp_avg"].value == 0.0


OPTIMIZERS = {
    "adam": {"adam_betas": [0.9, 0.98], "weight_decay": 0.1},
    "sgd": {"momentum": 0.9, "weight_decay": 0.1},
    "nag": {"momentum": 0.9, "weight_decay": 0.1},
    "adagrad": {"weight_decay": 0.1},
    "adadelta": {"weight_decay": 0.1},
    "adamax": {"weight_decay": 0.1},
    "adafactor": {"relative_step": False, "beta1": 0.9, "weight_decay": 0.1},
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_zeros_under_every_optimizer(name):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(6, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    settings = optim.OPTIMIZER_REGISTRY[name]
    dataclass = optim.OPTIMIZER_DATACLASS_REGISTRY.get(name)
    parameters = list(model.parameters())
    if dataclass is None:
        parser = argparse.ArgumentParser()
        settings.add_args(parser)
        namespace = parser.parse_args([])
        namespace.lr, namespace.optimizer = [0.1], name
        vars(namespace).update(OPTIMIZERS[name])
        optimizer = settings(namespace, parameters)
    else:
        cfg = OmegaConf.structured(dataclass)
        root = OmegaConf.create(
            {"optimizer": cfg, "optimization": {"lr": [0.1]}, "common": {"tpu": False, "fp16": False}}
        )
        root.optimizer = OmegaConf.merge(root.optimizer, OPTIMIZERS[name])
        optimizer = settings(root.optimizer, parameters)

    prunable = prunable_parameters(model)
    gradients = None
    for step in range(12):
        if step == 5:  # in the middle, so that there is momentum to bring weights back
            mask = Mask({name: torch.rand_like(weight) > 0.5 for name, weight in prunable.items()})
            zero_pruned(mask, prunable, optimizer)
            gradients = GradientMasks(mask, prunable)
        optimizer.zero_grad()
        model(torch.randn(4, 6)).square().sum().backward()
        unmasked = torch.cat([p.grad.reshape(-1) for p in parameters])
        if gradients is not None:
            gradients.mask_gradients()
            kept = torch.cat([kept.reshape(-1) for kept in mask.kept.values()])
            assert optimizer.clip_grad_norm(1.0) == pytest.approx(float(unmasked[kept].norm()), rel=1e-5)
        optimizer.step()
        if gradients is not None:
            mask.check(prunable)
            assert all(torch.signbit(weight[weight == 0]).sum() == 0 for weight in prunable.values())
            (inner,) = inner_optimizers(optimizer)
            for parameter, keep in zip(parameters, mask.kept.values(), strict=True):
                for moment in ("exp_avg", "momentum_buffer"):  # second moments may hold the optimizer's epsilon
                    assert not inner.state[parameter].get(moment, torch.zeros_like(keep))[~keep].ne(0).any()
    assert all(weight[keep].ne(0).all() for weight, keep in zip(prunable.values(), mask.kept.values(), strict=True))
