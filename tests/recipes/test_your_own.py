"""recipes/your_own: its data step, its settings and their table, and (slow) German to English on made-up text."""

import os
import re
import shlex
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "your_own"
PAIRS = [(f"der Hund {n}", f"the dog {n}") for n in range(50)]


def write(prefix: Path, pairs: list[tuple[str, str]]) -> None:
    for side, language in enumerate(("de", "en")):
        Path(f"{prefix}.{language}").write_text("".join(f"{pair[side]}\n" for pair in pairs), encoding="utf-8")


class TestData:
    @pytest.fixture(scope="class")
    def data(self, script):
        return script("your_own/data.py")

    @pytest.fixture
    def make(self, data, tmp_path, monkeypatch, capsys):
        """Runs the step on tmp_path/pairs; its status and what it says on standard error."""

        def make(*held_out: str) -> tuple[int, str]:
            words = [
                "data.py",
                "--corpus",
                tmp_path / "pairs",
                "--languages",
                "de",
                "en",
                "--output",
                tmp_path / "text",
            ]
            monkeypatch.setattr(sys, "argv", [str(word) for word in (*words, "--held-out", *held_out)])
            status = data.main()
            return status, capsys.readouterr().err

        return make

    def splits(self, folder: Path) -> dict[str, list[tuple[str, str]]]:
        sides = {
            split: [(folder / f"{split}.{side}").read_text(encoding="utf-8").splitlines() for side in ("de", "en")]
            for split in ("train", "valid", "test")
        }
        return {split: list(zip(*side, strict=True)) for split, side in sides.items()}

    def test_pairs_stay_together_and_none_is_in_two_splits(self, make, tmp_path):
        repeated = [("der Hund 3", "another dog"), ("ein Hund", "the dog 4"), ("", "empty"), ("x" * 501, "long")]
        write(tmp_path / "pairs", [*PAIRS, *repeated])
        assert make("7", "5") == (0, "")
        splits = self.splits(tmp_path / "text")
        assert {split: len(rows) for split, rows in splits.items()} == {"train": 38, "valid": 7, "test": 5}
        assert sorted(row for rows in splits.values() for row in rows) == sorted(PAIRS)
        assert splits["train"] == [pair for pair in PAIRS if pair in splits["train"]]
        write(tmp_path / "pairs", PAIRS[::-1])  # another order of the files draws the same
        assert make("7", "5") == (0, "")
        again = self.splits(tmp_path / "text")
        assert (again["valid"], again["test"]) == (splits["valid"], splits["test"])

    @pytest.mark.parametrize(
        ("fault", "held_out", "reason"),
        [
            ("missing", ("7", "5"), "pairs.en: no such file; CORPUS=PREFIX needs PREFIX.de and PREFIX.en"),
            ("lines", ("7", "5"), "pairs.de 50 and {}/pairs.en 49"),
            ("return", ("7", "5"), "pairs.en:1: a carriage return inside of a line"),
            ("none", ("20", "20"), "only 50 usable pairs: too few to hold out 20 + 20"),
            ("none", ("0", "5"), "HELD_OUT='0 5': give at least one pair"),
        ],
    )
    def test_what_cannot_be_split_is_one_line(self, make, tmp_path, fault, held_out, reason):
        write(tmp_path / "pairs", PAIRS)
        english = tmp_path / "pairs.en"
        if fault == "missing":
            english.unlink()
        elif fault == "lines":
            english.write_text("".join(english.read_text().splitlines(keepends=True)[1:]))
        elif fault == "return":
            english.write_bytes(english.read_bytes().replace(b" ", b"\r", 1))
        status, message = make(*held_out)
        assert (status, message.count("\n")) == (2, 1) and message.startswith("your_own: ")
        assert reason.format(tmp_path) in message and not (tmp_path / "text").exists()


class TestSettings:
    def commands(self, run, **settings) -> dict[str, str]:
        """The first command of each program in a dry run."""
        found: dict[str, str] = {}
        for place in ("your_own/00_data.sh", "wmt16_en_de/20_generate.sh", "wmt16_en_de/40_probe.sh"):
            done = run("bash", f"recipes/{place}", "--dry-run", CONFIG=RECIPE / "config.sh", STATE="state", **settings)
            assert done.returncode == 0, done.stderr
            for line in done.stdout.splitlines():
                for program in ("binarise.sh", "fairseq-generate", "fairseq_lth.encode"):
                    if program in line:
                        found.setdefault(program, line)
        return found

    @pytest.mark.parametrize("bpe", ["sentencepiece", "subword_nmt"])
    def test_words_are_cut_as_the_training_text_was(self, run, bpe):
        chosen = {"SOURCE": "fi", "TARGET": "de", "BPE": bpe}
        if bpe == "sentencepiece":
            found = self.commands(run, **chosen)
            assert found["binarise.sh"].endswith("state/text fi de sentencepiece 4000 state/data")
            flags, joined = "--bpe sentencepiece --sentencepiece-model state/data/sentencepiece.model", ""
        else:
            found = self.commands(run, **chosen, BPE_SIZE=300, TOKENIZER="moses --moses-no-dash-splits")
            assert found["binarise.sh"].endswith("fi de subword_nmt 300 state/data moses --moses-no-dash-splits")
            flags = "--tokenizer moses --moses-no-dash-splits --bpe subword_nmt --bpe-codes state/data/codes"
            joined = " --post-process subword_nmt"
        assert " -s fi -t de " in found["fairseq-generate"]
        assert f" {flags}{joined} --results-path" in found["fairseq-generate"]
        assert f" {flags} --cpu" in found["fairseq_lth.encode"]

    @pytest.mark.parametrize(
        ("settings", "reason"),
        [
            ({"BPE": "wordpiece"}, "BPE=wordpiece: give subword_nmt or sentencepiece"),
            ({"TARGET": "de"}, "SOURCE=de TARGET=de: give two codes of languages"),
            ({"SOURCE": "de-en"}, "SOURCE=de-en TARGET=en: give two codes of languages"),
            ({}, "set CORPUS to the prefix of your two text files"),
            ({"CORPUS": "pairs"}, "set CORPORA to the folder of the files that"),
        ],
    )
    def test_settings_that_cannot_be_right_are_refused(self, run, tmp_path, settings, reason):
        done = run("bash", RECIPE / "run_all.sh", STATE=tmp_path / "state", **settings)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith("your_own: ") and reason in done.stderr and done.stderr.count("\n") == 1


def sets(recipe: str) -> dict[str, str]:
    """Every setting of a recipe's config.sh, read or set there, with its value in an empty environment."""
    config = f"recipes/{recipe}/config.sh"
    lines = [line.partition(" # ")[0] for line in (ROOT / config).read_text().splitlines() if not line.startswith("#")]
    names = set(re.findall(r"(?<![\w$-])([A-Z][A-Z_]+)\+?=|\$\{([A-Z][A-Z_]+):?[-+]", "\n".join(lines)))
    settings = {name for pair in names for name in pair if name} - {"SMOKE"}  # no setting but an option of every script
    shell = 'source "$CONFIG"; for name in "$@"; do declare -n value=$name; echo "$name=${value[*]}"; done'
    environment = {"PATH": os.environ["PATH"], "CONFIG": config}
    command = ["bash", "-c", shell, "bash", *sorted(settings)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


def test_the_table_of_settings_is_that_of_the_recipes():
    section = (ROOT / "docs/recipes.md").read_text().split("\n## Settings\n")[1].split("\n## ")[0]
    parts = section.split("Those of `recipes/wmt16_en_de`")
    tables = [re.findall(r"^\| `(\w+)` \| (.*?) ?\| .+ \|$", part, re.MULTILINE) for part in parts]
    own, paper = sets("your_own"), sets("wmt16_en_de")
    assert sorted(name for name, _ in tables[0]) == sorted(own)
    assert sorted(name for name, _ in tables[1]) == sorted((paper.keys() | sets("open_en_de").keys()) - own.keys())
    for rows, values in zip(tables, (own, paper), strict=True):
        for name, cell in rows:
            value = values.get(name, "")
            in_words = not cell.startswith("`") and len(value) > 20  # long flags are put into words
            assert in_words or cell.strip("`") == value, name


@pytest.mark.slow
def test_german_to_english_from_text_to_page(tmp_path, run):
    import sentencepiece

    state = tmp_path / "state"
    done = run("bash", RECIPE / "run_all.sh", SMOKE="1", STATE=state)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "LTH1" in done.stdout and (state / "magnitude/report/index.html").stat().st_size > 10_000

    # the dictionary has the pieces of the training text and how often each occurs in it
    model = sentencepiece.SentencePieceProcessor(model_file=str(state / "data/sentencepiece.model"))
    lines = [line for side in ("de", "en") for line in (state / f"text/train.{side}").read_text().splitlines()]
    counts = Counter(piece for line in lines for piece in model.encode(line, out_type=str))
    entries = [line.rsplit(" ", 1) for line in (state / "data/dict.de.txt").read_text().splitlines()]
    assert {piece: int(count) for piece, count in entries if not piece.startswith("madeupword")} == counts
    assert max(map(len, counts)) > 3

    translations = (state / "magnitude/translations/lth0/generate-test.txt").read_text().splitlines()
    translated = [line.split("\t")[2] for line in translations if line.startswith("D-")]
    assert len(translated) == 20 and not any("▁" in line for line in translated)
    pieces = [line.split("\t")[2] for line in translations if line.startswith("H-")]
    assert translated == [model.decode(line.split()) for line in pieces]
    probes = pd.read_csv(state / "magnitude/tables/probes.csv")
    assert set(probes["task"]) == {"pos", "syn_arc_prediction", "syn_arc_classification"}
    groups = set(pd.read_csv(state / "magnitude/tables/similarity.csv")["group"].dropna())
    assert any(group.startswith("frequency:") for group in groups) and any(group.startswith("pos:") for group in groups)

    again = run("bash", RECIPE / "run_all.sh", SMOKE="1", STATE=state)
    assert again.returncode == 0 and "..." not in again.stdout  # no step was done again


@pytest.mark.slow
def test_pieces_are_those_of_fairseq(tmp_path, run):
    from fairseq.data.encoders.sentencepiece_bpe import SentencepieceBPE, SentencepieceConfig

    text, model = tmp_path / "text", tmp_path / "toy.model"
    lines = ["der alte Hund sieht den Baum .", "  zwei  Vögel\u2028singen\t.", "", "İstanbul ﬁne ½ 日本"]
    text.write_text("\n".join([*lines * 30, ""]), encoding="utf-8")
    done = run("python", "recipes/pieces.py", "train", "--size", "60", "--model", model, "--text", text)
    assert done.returncode == 0, done.stderr
    script = f"python recipes/pieces.py encode --model {shlex.quote(str(model))} < {shlex.quote(str(text))}"
    found = run("bash", "-c", script).stdout.split("\n")
    bpe = SentencepieceBPE(SentencepieceConfig(sentencepiece_model=str(model)))
    assert found[:4] == [bpe.encode(line) for line in lines] and len(found) == 121
