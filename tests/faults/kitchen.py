"""What the commands read, made once, and the commands."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from probing_bridge.formats.activations.writer import ActivationWriter
from probing_bridge.formats.origin import Origin
from probing_bridge.formats.representations import RepresentationWriter
from probing_bridge.formats.tables import write_table

TESTS = Path(__file__).resolve().parents[1]
PLUGIN = TESTS.parent / "fairseq_lth"
TAGS = {"the": "DET", "cat": "NOUN", "dog": "NOUN", "sees": "VERB", "runs": "VERB", "now": "ADV"}
LAYERS = ("0", "1", "norm")
MODEL = """
    --arch transformer --encoder-layers 1 --decoder-layers 1 --encoder-embed-dim 8 --decoder-embed-dim 8
    --encoder-ffn-embed-dim 16 --decoder-ffn-embed-dim 16 --encoder-attention-heads 2 --decoder-attention-heads 2
    --dropout 0.2 --optimizer adam --lr 0.01 --lr-scheduler inverse_sqrt --warmup-updates 3 --criterion cross_entropy
    --max-tokens 200 --cpu --no-progress-bar --num-workers 0 --seed 5 --max-epoch 2 --imp-iterations 1
    --imp-rewind-epoch 1 --imp-rewind weights --imp-rate 0.3 --task lth_imp --log-format none
"""


@dataclass(frozen=True)
class Command:
    """A command that faults are tried on.

    Attributes:
        name: As the table calls it.
        program: A key of attempts.PROGRAMS.
        words: Its arguments; it runs in a folder with `in`, which holds the material, and `out`.
        prints: Whether its standard output is its result.
        workers: Whether it starts processes.
        few: Whether it takes so long that fewer faults are tried.
    """

    name: str
    program: str
    words: tuple[str, ...]
    prints: bool = False
    workers: bool = False
    few: bool = False


def _command(name: str, line: str, program: str = "bridge", **about: bool) -> Command:
    return Command(name, program, tuple(line.split()), **about)


PROBE = "probe --suite in/suite.yaml --reps in/lth0.hdf5 in/lth1.hdf5 --output out/results --layers norm"
SIMILARITY = "similarity --dumps in/lth0.h5 in/lth1.h5 --output out/results"
TEXTS_AND_TABLES = [
    _command("instances", "instances pos in/test.conllu", prints=True),
    _command("sentences", "sentences --suite in/suite.yaml --output out/new"),
    _command(
        "score",
        "score in/run/checkpoint_lth0.pt=in/run/0.txt in/run/checkpoint_lth1.pt=in/run/1.txt --reference in/ref "
        "--test-set toy --output out/results",
    ),
    _command("export, npz", "export --to npz --dump in/lth0.h5 --output out/lth0.npz"),
    _command("export, liu", "export --to liu --dump in/lth0.h5 --output out/lth0.hdf5", few=True),
    _command("export, jiant", "export --to jiant --suite in/suite.yaml --tasks pos --output out/jiant", few=True),
    _command(
        "import",
        "import in/vectors.txt --from vectors --sentences in/sentences.txt --experiment glove --output out/v.hdf5",
    ),
]
STAGES = [
    _command("probe", f"{PROBE} --memory 0", few=True),
    _command("probe, 2 processes", f"{PROBE} --jobs 2", workers=True, few=True),
    _command("similarity", SIMILARITY),
    _command("similarity, submitit", f"{SIMILARITY} --executor submitit-local", workers=True, few=True),
    _command("report", "report --results in/run --output out/page", few=True),
]
PLUGIN_COMMANDS = [
    Command("train", "train", ("in/bin", "--user-dir", str(PLUGIN), "--save-dir", "out/run", *MODEL.split()), few=True),
    Command(
        "dump",
        "validate",
        ("in/bin", "--user-dir", str(PLUGIN), "--path", "in/trained/checkpoint_lth1.pt", "--dump-activations",
         "out/lth1.h5", "--task", "lth_imp", "--cpu", "--max-tokens", "100", "--num-workers", "0"),
        few=True,
    ),
    _command(
        "encode",
        "--path in/trained/checkpoint_lth1.pt --sentences in/sentences.txt --output out/lth1.hdf5 --data in/bin --cpu",
        "encode",
    ),
    _command("levels", "in/trained --level 1 --export out/plain.pt --compact out/lth1.safetensors", "levels", few=True),
]  # fmt: skip


def prepare(folder: Path) -> None:
    """Writes what the commands of the bridge read.

    Args:
        folder: A new folder.
    """
    rng = random.Random(0)
    folder.mkdir()
    texts: list[list[str]] = []
    for split in ("train", "dev", "test"):
        texts += _write_split(folder, split, rng)
    files = {split: f"{split}.conllu" for split in ("train", "dev", "test")}
    (folder / "suite.yaml").write_text(json.dumps({"tasks": {"pos": files}}))
    unique = sorted({tuple(text) for text in texts})
    (folder / "sentences.txt").write_text("".join(f"{' '.join(text)}\n" for text in unique))
    (folder / "vectors.txt").write_text("".join(f"{word} {rng.random()} {rng.random()}\n" for word in TAGS))
    for level in (0, 1):
        origin = Origin(
            "e1", level, "", 0.2 * level, checkpoint=f"checkpoint_lth{level}.pt", checkpoint_hash=f"h{level}"
        )
        _write_representations(folder / f"lth{level}.hdf5", unique, origin)
        _write_dump(folder / f"lth{level}.h5", unique[:20], origin)
    _write_run(folder / "run", folder / "ref", [" ".join(text) for text in unique[:8]])


def _write_split(folder: Path, split: str, rng: random.Random) -> list[list[str]]:
    blocks, texts = [], []
    for _ in range(12):
        words = [rng.choice(list(TAGS)) for _ in range(rng.randrange(2, 6))]
        texts.append(words)
        rows = (f"{i + 1}\t{word}\t_\t{TAGS[word]}\t_\t_\t{i}\tdep\t_\t_" for i, word in enumerate(words))
        blocks.append("\n".join(rows) + "\n")
    (folder / f"{split}.conllu").write_text("\n".join(blocks) + "\n")
    return texts


def _write_representations(path: Path, texts: Sequence[Sequence[str]], origin: Origin) -> None:
    rng = np.random.default_rng(origin.level)
    vectors = {word: 20 * rng.normal(size=8) for word in TAGS}
    with RepresentationWriter(path, texts, LAYERS, 8, origin) as writer:
        for text in texts:
            base = np.stack([vectors[word] for word in text])
            writer.add(text, base + rng.normal(size=(len(LAYERS), len(text), 8)))


def _write_dump(path: Path, texts: Sequence[Sequence[str]], origin: Origin) -> None:
    """Made-up activations of a model with one layer on each side."""
    symbols = ["<s>", "<pad>", "</s>", "<unk>", *TAGS]
    rng = np.random.default_rng(10 + (origin.level or 0))
    lengths = {side: [len(text) + 1 for text in texts] for side in ("source", "target")}
    n = sum(lengths["source"])
    states, attention = {"encoder": {"0": 6, "1": 6}}, {"encoder_self": {"1": 2}}
    every = range(len(texts))
    both = [dict.fromkeys(lengths, each) for each in (symbols, list(range(len(symbols), 0, -1)))]
    with ActivationWriter(path, lengths, states, attention, *both, origin) as writer:
        for side in lengths:
            ids = [[symbols.index(word) for word in text] + [2] for text in texts]
            writer.write_tokens(side, every, np.concatenate(ids))
        for component, layers in states.items():
            for layer in layers:
                writer.write_states(component, layer, every, rng.normal(size=(n, 6)))
        for kind, layers in attention.items():
            rows = [rng.dirichlet(np.ones(k), size=(k, 2)).swapaxes(1, 2).reshape(k * k, 2) for k in lengths["source"]]
            for layer in layers:
                writer.write_attention(kind, layer, every, np.concatenate(rows))


def _write_run(folder: Path, references: Path, lines: Sequence[str]) -> None:
    """The records of a training, and translations of its levels."""
    folder.mkdir()
    references.write_text("".join(f"{line}\n" for line in lines))
    records = pd.DataFrame({"experiment": "e1", "level": [0, 1], "sparsity": [0.0, 0.2]})
    records["checkpoint"] = [f"checkpoint_lth{level}.pt" for level in (0, 1)]
    write_table(records, "lth", folder / "lth.csv")
    for level in (0, 1):
        (folder / f"checkpoint_lth{level}.pt").touch()
        text = ""
        for number, line in enumerate(lines):
            said = " ".join(reversed(line.split())) if level and number % 2 else line
            text += f"S-{number}\tx\nT-{number}\t{line}\nH-{number}\t-0.1\t{said}\nD-{number}\t-0.1\t{said}\n"
        (folder / f"{level}.txt").write_text(text)


def prepare_corpus(folder: Path) -> None:
    """Binarised sentence pairs, from the sentences that `prepare` wrote; the target is the source in reverse order."""
    from fairseq import options
    from fairseq_cli.preprocess import main

    lines = (folder / "sentences.txt").read_text().splitlines()
    for split, own in (("train", lines), ("valid", lines[:10])):
        (folder / f"{split}.en").write_text("".join(f"{line}\n" for line in own))
        (folder / f"{split}.de").write_text("".join(f"{' '.join(reversed(line.split()))}\n" for line in own))
    arguments = ["-s", "en", "-t", "de", "--destdir", str(folder / "bin"), "--workers", "1", "--joined-dictionary"]
    for split in ("train", "valid"):
        arguments += [f"--{split}pref", str(folder / split)]
    main(options.get_preprocessing_parser().parse_args(arguments))


def keep_training(folder: Path, trained: Path) -> None:
    """Has a training that has ended be read by other commands."""
    shutil.copytree(trained, folder / "trained")
