"""A random Transformer on random text, saved like a level: what the benchmarks of dump and encode run on."""

from __future__ import annotations

import logging
import random
import time
import warnings
from pathlib import Path

SIZES = {
    "quickstart": "--encoder-layers 3 --decoder-layers 3 --encoder-embed-dim 128 --decoder-embed-dim 128 "
    "--encoder-ffn-embed-dim 256 --decoder-ffn-embed-dim 256 --encoder-attention-heads 4 --decoder-attention-heads 4",
    "base": "",
}


def make_data(folder: Path, n_sentences: int, n_words: int, lengths: tuple[int, int]) -> Path:
    """Binarises random sentence pairs (subset valid); lengths are spread evenly."""
    from fairseq import options
    from fairseq_cli.preprocess import main

    rng = random.Random(1)
    words = [f"w{number}" for number in range(n_words)]
    for language in ("en", "de"):
        (folder / f"train.{language}").write_text(" ".join(words) + "\n")
        with open(folder / f"valid.{language}", "w") as file:
            for number in range(n_sentences):
                length = lengths[0] + number % (lengths[1] - lengths[0] + 1)
                print(*rng.choices(words, k=max(1, length + rng.randint(-2, 2))), file=file)
    arguments = ["-s", "en", "-t", "de", "--joined-dictionary", "--destdir", str(folder / "bin"), "--workers", "1"]
    for split in ("train", "valid"):
        arguments += [f"--{split}pref", str(folder / split)]
    main(options.get_preprocessing_parser().parse_args(arguments))
    return folder / "bin"


def make_level(path: Path, data: Path, flags: str) -> Path:
    """Saves a random transformer as `--task lth_imp` would."""
    import torch
    from fairseq import options, tasks
    from fairseq.dataclass.utils import convert_namespace_to_omegaconf, merge_with_parent
    from omegaconf import OmegaConf, open_dict

    from fairseq_lth.config import ImpConfig
    from fairseq_lth.levels.checkpoints import STATE_FORMAT, STATE_KEY
    from fairseq_lth.levels.state import sample_hash

    given = f"{data} -s en -t de --arch transformer --share-all-embeddings --optimizer adam --cpu {flags}"
    given += " --criterion label_smoothed_cross_entropy --label-smoothing 0.1 --max-tokens 4000"
    cfg = convert_namespace_to_omegaconf(options.parse_args_and_arch(options.get_training_parser(), given.split()))
    torch.manual_seed(1)
    model = tasks.setup_task(cfg.task).build_model(cfg.model)
    with open_dict(cfg):
        cfg.task = {**merge_with_parent(ImpConfig(), cfg.task, remove_missing=True), "_name": "lth_imp"}
    history = [{"num_updates": 1, "optimizer_name": "FairseqAdam", "lr_scheduler_state": {}}]
    plain = OmegaConf.to_container(cfg, resolve=True, enum_to_str=True)
    state = {"args": None, "cfg": plain, "model": model.state_dict(), "optimizer_history": history}
    identity = "0" * 16
    level = {
        "format": STATE_FORMAT, "experiment": identity, "parent": "", "dense": identity, "start": [0, None], "level": 0,
        "epoch": 1, "end_of_epoch": True, "finished": True, "sparsity": 0.0, "mask": None, "transition": {},
        "sample_hash": sample_hash(model.state_dict()), "seconds": 0.0,
    }  # fmt: skip
    torch.save({**state, "extra_state": {STATE_KEY: level}, "task_state": {}}, path)
    return path


def clock(device: str) -> float:
    """CPU seconds of the process; on a GPU seconds of wall time, after what it was told to do."""
    import torch

    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def be_quiet() -> None:
    """Leaves fairseq's notices and warnings out of a benchmark's output."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
