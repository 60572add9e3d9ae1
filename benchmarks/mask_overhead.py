"""What keeping pruned weights at zero costs: the share of masking in an update of 400 to 16,000 tokens at iwslt size.

`python -m benchmarks.mask_overhead` times the parts of fairseq's update (label-smoothed loss, backward, scaling,
clipping, Adam) of transformer_iwslt_de_en (31.5 M prunable weights) and, in turns, ways of masking its gradients: the
engine's float masks in one call after the backward pass, the same masks inside of it, each gradient as soon as it is
there (hooks), and at 400 tokens two plainer ways: bool masks, and new gradient tensors (`grad = grad * mask`).
`weights` is what a masked criterion does before its forward pass. CPU time of all threads, which other work on the
machine disturbs least; masking is bound by memory bandwidth, so it is not left alone. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.blas import describe_blas, start_with_own_kernel

REPETITIONS = {400: 7, 4_000: 2, 16_000: 1}  # tokens -> updates with each way
N_TYPES = 10_000
SENTENCE = 25  # tokens
OURS, INSIDE, BOOL, NEW = "after, in one call (ours)", "inside of backward", "after, bool masks", "after, new tensors"


@dataclass
class Seconds:
    """CPU seconds of parts of updates with one way of masking."""

    masking: list[float] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    rest: list[float] = field(default_factory=list)


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


class Updates:
    """A model with its mask, criterion and optimizer, that is updated with one way of masking or another."""

    def __init__(self) -> None:
        """Prunes a fifth."""
        import torch
        from fairseq.criterions import CRITERION_REGISTRY

        from fairseq_lth import register
        from fairseq_lth.training.zeros import GradientMasks
        from probing_bridge.pruning.criteria import prunable_parameters, prune
        from probing_bridge.pruning.masks import Mask

        register()
        torch.manual_seed(0)
        self.model, dictionary = iwslt_model(N_TYPES)
        self.parameters = prunable_parameters(self.model)
        full = Mask.full(self.parameters)
        self.mask = prune(dict(self.parameters), full, 0.2, "magnitude", "global", 1, 1)
        self.masks = GradientMasks(self.mask, self.parameters)
        self.optimizer = fairseq_adam(self.model)
        task = argparse.Namespace(target_dictionary=dictionary)
        self.criterion = CRITERION_REGISTRY["label_smoothed_cross_entropy"](task, False, 0.1)

    def gradient(self, name: str) -> Any:
        """The gradient of a parameter."""
        return self.parameters[name].grad

    def bool_masks(self) -> None:
        """One call a tensor, with the mask as it is kept in files."""
        for name, kept in self.mask.kept.items():
            self.gradient(name).mul_(kept)

    def new_tensors(self) -> None:
        """A new gradient for each old one."""
        for name, kept in self.mask.kept.items():
            self.parameters[name].grad = self.gradient(name) * kept

    @contextmanager
    def hooked(self) -> Iterator[list[float]]:
        """Has each gradient masked when it is whole; the list gets the seconds that takes."""
        taken: list[float] = []

        def hook(kept: Any) -> Callable[[Any], None]:
            def mask(weight: Any) -> None:
                start = time.process_time()
                weight.grad.mul_(kept)
                taken.append(time.process_time() - start)

            return mask

        handles = [
            self.parameters[name].register_post_accumulate_grad_hook(hook(kept.to(self.parameters[name].dtype)))
            for name, kept in self.mask.kept.items()
        ]
        yield taken
        for handle in handles:
            handle.remove()

    def update(self, sample: dict[str, Any], way: str, seconds: Seconds) -> None:
        """One update, timed."""
        after = {OURS: self.masks.mask_gradients, BOOL: self.bool_masks, NEW: self.new_tensors}
        self.optimizer.zero_grad()
        start = time.process_time()
        self.masks.mask_weights()
        forward = time.process_time()
        loss, sample_size, _ = self.criterion(self.model, sample)
        if way == INSIDE:
            with self.hooked() as taken:
                self.optimizer.backward(loss)
            before = masked = time.process_time()
            inside = sum(taken)
        else:
            self.optimizer.backward(loss)
            before, inside = time.process_time(), 0.0
            after[way]()
            masked = time.process_time()
        self.optimizer.multiply_grads(1.0 / sample_size)
        self.optimizer.clip_grad_norm(1.0)
        self.optimizer.step()
        end = time.process_time()
        seconds.weights.append(forward - start)
        seconds.masking.append(masked - before + inside)
        seconds.rest.append(end - forward - seconds.masking[-1])


def run(n_tokens: int, updates: Updates) -> dict[str, Any]:
    """Times the ways in turns.

    Args:
        n_tokens: Target tokens of an update; as many are read.
        updates: What is updated.

    Returns:
        CPU milliseconds, and shares of an update that masks nothing.
    """
    import torch

    tokens = torch.randint(4, N_TYPES, (n_tokens // SENTENCE, SENTENCE))
    lengths = torch.full((len(tokens),), SENTENCE)
    inputs = {"src_tokens": tokens, "src_lengths": lengths, "prev_output_tokens": tokens}
    sample = {"net_input": inputs, "target": tokens, "ntokens": n_tokens}
    ways = (OURS, INSIDE, BOOL, NEW) if n_tokens == min(REPETITIONS) else (OURS, INSIDE)
    times = {way: Seconds() for way in ways}
    for _ in range(REPETITIONS[n_tokens]):
        for way, seconds in times.items():
            updates.update(sample, way, seconds)
    update = statistics.median(rest for seconds in times.values() for rest in seconds.rest)
    masking = {way: statistics.median(seconds.masking) for way, seconds in times.items()}
    masking["weights"] = statistics.median(taken for seconds in times.values() for taken in seconds.weights)
    return {
        "tokens": n_tokens,
        "update_cpu_ms": round(1000 * update, 1),
        "masking_cpu_ms": {way: round(1000 * taken, 2) for way, taken in masking.items()},
        "share_of_update": {way: round(taken / update, 5) for way, taken in masking.items()},
    }


def main() -> None:
    start_with_own_kernel("benchmarks.mask_overhead")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tokens", type=int, nargs="+", choices=REPETITIONS, default=list(REPETITIONS))
    updates = Updates()
    found = [run(n_tokens, updates) for n_tokens in parser.parse_args().tokens]
    print(json.dumps({"prunable_weights": updates.mask.n_weights, "updates": found, "blas": describe_blas()}))


if __name__ == "__main__":
    main()
