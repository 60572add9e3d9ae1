"""Scores that see data: against formulas on the same batches, from fairseq's own forward and backward pass."""

import copy

import numpy as np
import pytest
import torch
from fairseq.modules import MultiheadAttention
from random_models import random_model

from fairseq_lth.errors import RunRefused
from fairseq_lth.training.calibration import Calibration, require_inputs, weighed
from probing_bridge.pruning.criteria import PRUNING_CRITERIA, prunable_parameters, prune
from probing_bridge.pruning.masks import Mask

CPU = torch.device("cpu")


@pytest.fixture(
    scope="module", params=["", "--encoder-normalize-before --encoder-layerdrop 0.9", "--checkpoint-activations"]
)
def made(request, corpus):
    """A random model in training, its criterion, and calibration batches."""
    model, task, cfg = random_model(corpus, request.param)
    task.load_dataset("train")
    cfg.dataset.max_tokens = 100
    calibration = Calibration(task.dataset("train"), cfg.dataset, (1024, 1024), 3, seed=1)
    return model.train(), task.build_criterion(cfg.criterion), calibration


def scores(made, name):
    model, criterion, calibration = made
    return weighed(PRUNING_CRITERIA[name].data, prunable_parameters(model), model, criterion, calibration)


def close(found, expected):
    torch.testing.assert_close(found, expected.float(), rtol=1e-3, atol=1e-5 * float(expected.abs().max()) + 1e-6)


def test_gradient_is_weight_times_gradient_of_the_summed_loss(made):
    model, criterion, calibration = made
    found = scores(made, "gradient")
    assert model.training and all(weight.grad is None for weight in model.parameters())
    plain = copy.deepcopy(model).eval()
    sum(criterion(plain, batch)[0] for batch in calibration.batches(CPU)).backward()
    for name, weight in prunable_parameters(plain).items():
        close(found[name], weight.detach() * weight.grad)


def real_inputs(model, batch, pad=1):
    """What each linear layer is given at the tokens of a batch, seen from outside of the fused attention.

    The input of the output projection of attention is what that projection, inverted, makes of its output.
    """
    found, given = {}, batch["net_input"]
    real = {"encoder": given["src_tokens"].ne(pad), "decoder": given["prev_output_tokens"].ne(pad)}

    def note(name, vectors, side):
        found[name] = (vectors.transpose(0, 1) if ".layers." in name else vectors)[real[side]].double()

    def attended(module, args, given, output, name, side):
        note(f"{name}.q_proj", given["query"], side)
        for part in ("key", "value"):
            note(f"{name}.{part[0]}_proj", given[part], "encoder" if "encoder_attn" in name else side)
        weight, bias = module.out_proj.weight.double(), module.out_proj.bias.double()
        note(f"{name}.out_proj", (output[0].double() - bias) @ weight.inverse().T, side)

    plain = copy.deepcopy(model).eval()
    for name, module in plain.named_modules():
        where = {"name": name, "side": name.partition(".")[0]}
        if isinstance(module, MultiheadAttention):
            module.register_forward_hook(lambda *call, w=where: attended(*call, **w), with_kwargs=True)
        elif isinstance(module, torch.nn.Linear) and "attn" not in name:
            module.register_forward_hook(lambda m, args, output, w=where: note(w["name"], args[0], w["side"]))
    with torch.no_grad():
        plain(**given)
    return found


def test_wanda_is_weight_times_norm_of_its_input(made):
    model, _, calibration = made
    found = scores(made, "wanda")
    batches = [real_inputs(model, batch) for batch in calibration.batches(CPU)]
    for name, weight in prunable_parameters(model).items():
        module, _, kind = name.rpartition(".")
        inputs = torch.cat([batch[module] for batch in batches])
        norms = inputs.square().sum(dim=0).sqrt() if kind == "weight" else len(inputs) ** 0.5
        close(found[name], weight.detach() * norms)


def test_the_smallest_of_the_whole_pool_go(made, name="gradient"):
    model = made[0]
    products, full = scores(made, name), Mask.full(prunable_parameters(model))
    flat = np.concatenate([product.abs().numpy().ravel() for product in products.values()])
    mask = prune(products, full, 0.3, name, "global", 1, 1)
    kept = np.concatenate([keep.numpy().ravel() for keep in mask.kept.values()])
    assert mask.n_pruned == round(0.3 * len(flat)) and flat[~kept].max() <= flat[kept].min()
    assert mask.hash() != prune(dict(prunable_parameters(model)), full, 0.3, "magnitude", "global", 1, 1).hash()


def test_batches_depend_on_the_seed_alone(corpus):
    _, task, cfg = random_model(corpus)
    task.load_dataset("train")

    def drawn(seed, n):
        np.random.seed(n)
        calibration = Calibration(task.dataset("train"), cfg.dataset, (1024, 1024), n, seed)
        return [sorted(batch["id"].tolist()) for batch in calibration.batches(CPU)]

    assert drawn(1, 2) == drawn(1, 3)[:2] != drawn(2, 2)
    with pytest.raises(RunRefused, match="the training set has only "):
        drawn(1, 1000)


def test_weights_of_other_layers_have_no_input_norm(made):
    model, _, calibration = made
    with pytest.raises(RunRefused, match=r"embed_tokens.weight is not of a linear layer"):
        require_inputs(prunable_parameters(model, prune_embeddings=True), model, calibration)
