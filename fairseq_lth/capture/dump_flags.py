"""The flags of a dump, and what has to be known of them before fairseq-validate has any task."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Optional

from fairseq.dataclass import ChoiceEnum, FairseqDataclass

from fairseq_lth.errors import RunRefused, refusing
from fairseq_lth.levels.checkpoints import require_loadable
from probing_bridge.formats.activations.reader import DTYPES
from probing_bridge.formats.words import JOINS

MAX_TOKENS = 4000  # of a batch; fairseq-validate has no default, and a dump does not depend on it but for rounding


@dataclass
class DumpConfig(FairseqDataclass):
    """Flags of the dump."""

    dump_activations: Optional[str] = field(  # noqa: UP045 - fairseq reads the annotation, and only this spelling
        default=None,
        metadata={"help": "fairseq-validate: write states and attention of the subset to this HDF5 file"},
    )
    dump_states: bool = field(
        default=False, metadata={"help": "dump the states of the layers (with neither of the two flags: both)"}
    )
    dump_attention: bool = field(
        default=False, metadata={"help": "dump the attention of each head (with neither of the two flags: both)"}
    )
    dump_layers: Optional[str] = field(  # noqa: UP045
        default=None, metadata={"help": "layers to dump, such as 0,3,6 or 6,norm (0: embeddings); default: all"}
    )
    dump_output: int = field(
        default=0,
        metadata={"help": "also dump the output distributions: the K best tokens at each target position, 0: none"},
    )
    dump_dtype: ChoiceEnum(list(DTYPES)) = field(  # type: ignore[valid-type]
        default="float32", metadata={"help": "float16 halves the file; the mean of each layer is taken off before"}
    )
    dump_words: ChoiceEnum(["none", *JOINS]) = field(  # type: ignore[valid-type]
        default="none",
        metadata={"help": "attention between words: sum over attended pieces, mean over attending ones, by this BPE"},
    )


def require_dumping_task(argv: Sequence[str]) -> None:
    """Refuses to dump from a checkpoint whose task has no such flags: fairseq would drop them without a word.

    fairseq-validate hands its flags to the task that the checkpoint names, where that task knows them.

    Args:
        argv: The command line.

    Raises:
        RunRefused: Such a checkpoint, with what to add.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for flag in ("--path", "--dump-activations", "--model-overrides"):
        parser.add_argument(flag)
    given = parser.parse_known_args(argv)[0]
    if given.path is None or given.dump_activations is None or given.model_overrides is not None:
        return
    with refusing():
        checkpoint = require_loadable(given.path)
    task = (
        checkpoint["cfg"]["task"] if checkpoint.get("args") is None else checkpoint["args"]
    )  # fairseq takes args first
    fields = vars(task) if isinstance(task, argparse.Namespace) else task
    if "dump_activations" not in fields:
        name = fields.get("_name") or fields["task"]
        overrides = {"_name": "lth_imp", "dump_activations": given.dump_activations}
        raise RunRefused(
            f"{given.path}: was trained with --task {name}, which does not dump; in place of "
            f"--dump-activations give --model-overrides \"{{'task': {overrides}}}\""
        )


def refuse_translating(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Refuses a dump of fairseq-generate and fairseq-interactive, which would write none and say nothing.

    Args:
        parser: fairseq's; of those two it has flags of the beam search.
        argv: The command line.

    Raises:
        RunRefused: A dump is asked for.
    """
    if _is_dump(argv) and "--beam" in parser._option_string_actions:
        raise RunRefused("--dump-activations: belongs to fairseq-validate; a translation is not dumped")


def _is_dump(argv: Sequence[str]) -> bool:
    return any(word.partition("=")[0] == "--dump-activations" for word in argv)


def give_batch_size(parser: argparse.ArgumentParser, argv: Sequence[str]) -> None:
    """Gives `--max-tokens` a default where a dump is asked for; fairseq-validate refuses to go on without one.

    Args:
        parser: fairseq's.
        argv: The command line.
    """
    if _is_dump(argv):
        parser.set_defaults(max_tokens=MAX_TOKENS)
