"""Transformers with random weights, as checkpoints that look like levels."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

SMALL = """
    --arch transformer --encoder-layers 2 --decoder-layers 3 --encoder-embed-dim 16 --decoder-embed-dim 16
    --encoder-ffn-embed-dim 24 --decoder-ffn-embed-dim 24 --encoder-attention-heads 2 --decoder-attention-heads 4
    --optimizer adam --criterion cross_entropy --max-tokens 500 --cpu
"""
VARIANTS = {
    "post-norm": "",
    "pre-norm": "--encoder-normalize-before --decoder-normalize-before",
    "layerdrop": "--encoder-layerdrop 0.9 --decoder-layerdrop 0.9",
    "shared": "--share-decoder-input-output-embed",
    "gelu": "--activation-fn gelu",
    "learned": "--encoder-learned-pos --decoder-learned-pos --layernorm-embedding",
    "checkpointed": "--checkpoint-activations",
    "right-padded": "--left-pad-source",  # the flag switches it off
}


def random_model(data: Path, flags: str = "", seed: int = 1, small: str = SMALL) -> tuple[Any, Any, Any]:
    """A model, its task and its configuration."""
    import torch
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf

    parser = options.get_training_parser()
    arguments = [str(data), "-s", "en", "-t", "de", *small.split(), *flags.split(), "--dropout", "0.3"]
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(parser, arguments))
    task = tasks.setup_task(cfg.task)
    torch.manual_seed(seed)
    model = task.build_model(cfg.model).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("conv_bias"):  # of a dynamic convolution: what the memory had, now and then no number
            torch.nn.init.zeros_(parameter)
    for name, parameter in model.named_parameters():  # fairseq's biases and norms start at 0 and 1: move them
        if parameter.dim() == 1 and "embed" not in name:
            parameter.data += torch.randn_like(parameter) * 0.3
    return model, task, cfg


def save_level(
    path: Path, data: Path, flags: str = "", task: str = "lth_imp", seed: int = 1, small: str = SMALL
) -> Path:
    """Saves a random model as fairseq would after a training by `--task lth_imp` (or by another task)."""
    import torch
    from fairseq.dataclass.utils import merge_with_parent
    from omegaconf import OmegaConf, open_dict

    from fairseq_lth.config import ImpConfig

    model, _, cfg = random_model(data, flags, seed, small)
    if task == "lth_imp":
        with open_dict(cfg):
            cfg.task = {**merge_with_parent(ImpConfig(), cfg.task, remove_missing=True), "_name": task}
    state = {
        "args": None,
        "cfg": OmegaConf.to_container(cfg, resolve=True, enum_to_str=True),
        "model": model.state_dict(),
        "optimizer_history": [{"num_updates": 1, "optimizer_name": "FairseqAdam", "lr_scheduler_state": {}}],
        "extra_state": {},
        "task_state": {},
    }
    torch.save(state, path)
    return path


def validate_until_killed(argv: list[str], n_writes: int) -> None:
    """Runs fairseq-validate, and kills the process when it has written attention so many times."""
    from fairseq_cli.validate import cli_main

    from probing_bridge.formats.activations.reader import ActivationWriter

    write = ActivationWriter.write_attention
    left = iter(range(n_writes))

    def killing(*arguments: Any) -> None:
        if next(left, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        write(*arguments)

    ActivationWriter.write_attention = killing
    sys.argv = argv
    cli_main()
