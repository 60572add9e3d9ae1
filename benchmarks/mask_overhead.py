"""What keeping pruned weights at zero costs: the share of masking in an update of 400 tokens at iwslt size.

`python -m benchmarks.mask_overhead` times the parts of fairseq's update (label-smoothed loss, backward, scaling,
clipping, Adam) of transformer_iwslt_de_en (31.5 M prunable weights), in turns with the engine's float masks and with
two plainer ways: bool masks, and new gradient tensors (`grad = grad * mask`). CPU time of all threads, which other
work on the machine disturbs least; masking is bound by memory bandwidth, so it is not left alone. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from benchmarks.blas import describe_blas, start_with_own_kernel


def iwslt_model(n_types: int) -> tuple[Any, Any]:
    """transformer_iwslt_de_en with shared embeddings, and its dictionary."""
    from fairseq.data import Dictionary
    from fairseq.models import ARCH_CONFIG_REGISTRY, ARCH_MODEL_REGISTRY

    dictionary = Dictionary()
    for index in range(n_types - len(dictionary)):
        dictionary.add_symbol(f"t{index}")
    task = argparse.Namespace(source_dictionary=dictionary, target_dictionary=dictionary)
    args = argparse.Namespace(arch="transformer_iwslt_de_en", share_all_embeddings=True)
    ARCH_CONFIG_REGISTRY[args.arch](args)
    return ARCH_MODEL_REGISTRY[args.arch].build_model(args, task), dictionary


def fairseq_adam(model: Any) -> Any:
    """The optimizer that `--optimizer adam` builds."""
    from fairseq.optim import OPTIMIZER_REGISTRY
    from fairseq.optim.adam import FairseqAdamConfig
    from omegaconf import OmegaConf

    root = OmegaConf.create({"optimizer": OmegaConf.structured(FairseqAdamConfig), "common": {"tpu": False}})
    root.optimization = {"lr": [1e-4]}
    return OPTIMIZER_REGISTRY["adam"](root.optimizer, list(model.parameters()))


def run(repetitions: int) -> dict[str, Any]:
    """Times the ways in turns and returns shares of an unmasked update."""
    import torch
    from fairseq.criterions import CRITERION_REGISTRY

    from fairseq_lth import register
    from fairseq_lth.training.zeros import GradientMasks
    from probing_bridge.pruning.criteria import prunable_parameters, prune
    from probing_bridge.pruning.masks import Mask

    register()
    torch.manual_seed(0)
    model, dictionary = iwslt_model(10000)
    parameters = prunable_parameters(model)
    mask = prune(dict(parameters), Mask.full(parameters), 0.2, "magnitude", "global", 1, 1)
    masks = GradientMasks(mask, parameters)
    optimizer = fairseq_adam(model)
    tokens = torch.randint(4, len(dictionary), (16, 25))  # 400 target tokens
    inputs = {"src_tokens": tokens, "src_lengths": torch.full((16,), 25), "prev_output_tokens": tokens}
    sample = {"net_input": inputs, "target": tokens, "ntokens": tokens.numel()}
    task = argparse.Namespace(target_dictionary=dictionary)
    criterion = CRITERION_REGISTRY["label_smoothed_cross_entropy"](task, False, 0.1)

    def gradient(name: str) -> torch.Tensor:
        found = parameters[name].grad
        assert found is not None
        return found

    def bool_masks() -> None:
        for name, kept in mask.kept.items():
            gradient(name).mul_(kept)

    def new_tensors() -> None:
        for name, kept in mask.kept.items():
            parameters[name].grad = gradient(name) * kept

    ways = {"float masks (ours)": masks.mask_gradients, "bool masks": bool_masks, "new tensors": new_tensors}
    times: dict[str, list[float]] = {name: [] for name in ways}
    updates = []
    for repetition in range(repetitions + 1):
        for name, way in ways.items():
            start = time.process_time()
            optimizer.zero_grad()
            loss, sample_size, _ = criterion(model, sample)
            optimizer.backward(loss)
            before = time.process_time()
            way()
            after = time.process_time()
            optimizer.multiply_grads(1.0 / sample_size)
            optimizer.clip_grad_norm(1.0)
            optimizer.step()
            end = time.process_time()
            if repetition:  # the first round warms up
                times[name].append(after - before)
                updates.append(end - start - (after - before))
    update = statistics.median(updates)
    return {
        "prunable_weights": mask.n_weights,
        "update_cpu_ms": round(1000 * update, 1),
        "masking_cpu_ms": {name: round(1000 * statistics.median(taken), 2) for name, taken in times.items()},
        "share_of_update": {name: round(statistics.median(taken) / update, 5) for name, taken in times.items()},
        "target": 0.01,
        "blas": describe_blas(),
    }


def main() -> None:
    start_with_own_kernel("benchmarks.mask_overhead")
    parser = argparse.ArgumentParser()
    parser.add_argument("--repetitions", type=int, default=7)
    print(json.dumps(run(parser.parse_args().repetitions)))


if __name__ == "__main__":
    main()
