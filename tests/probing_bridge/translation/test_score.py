"""`score`: what is compared with what, and every fault told at once."""

import io
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from sacrebleu.metrics import BLEU, CHRF
from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from probing_bridge.errors import InputError
from probing_bridge.formats.tables import read_table, write_table
from probing_bridge.run import main
from probing_bridge.translation import differences as tests
from probing_bridge.translation import metrics
from probing_bridge.translation.generated import read_generated

REFERENCES = [
    "the old dog sleeps under the big tree",
    "a red house stands at the end of the street",
    "two children play with a small ball in the park",
    "the woman reads a long letter from her brother",
]
MIXED = [*REFERENCES[:2], *(line.replace("the", "a") for line in REFERENCES[2:])]
WORSE = [" ".join(line.split()[::2] + line.split()[1::2]) for line in REFERENCES]
TEXTS = {"a0": REFERENCES, "a1": MIXED, "b1": WORSE, "b2": WORSE}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Checkpoints and translations of a run and its branch, in folders with `=` in their names."""
    monkeypatch.setattr(tests, "TRIALS", 500)
    for run, levels in (("a", (0, 1)), ("b", (1, 2))):
        folder = tmp_path / "lr=7e-4" / run
        folder.mkdir(parents=True)
        records = pd.DataFrame({"experiment": run, "level": levels, "sparsity": 0.0})
        records["checkpoint"] = [f"checkpoint_lth{level}.pt" for level in levels]
        write_table(records, "lth", folder / "lth.csv")
        for level in levels:
            (folder / f"checkpoint_lth{level}.pt").touch()
            lines = list(enumerate(TEXTS[f"{run}{level}"]))
            text = (
                f"S-{k}\tx\nT-{k}\t{REFERENCES[k]}\nH-{k}\t-0.1\t{line}\nD-{k}\t-0.1\t{line}\n" for k, line in lines
            )
            (folder / f"test={level}.txt").write_text("".join(text))
    (tmp_path / "ref").write_text("".join(f"{line}\n" for line in REFERENCES))
    return tmp_path


def pair(files: Path, name: str) -> str:
    folder = files / "lr=7e-4" / name[0]
    return f"{folder}/checkpoint_lth{name[1]}.pt={folder}/test={name[1]}.txt"


@pytest.fixture
def score(files: Path) -> Callable[..., int]:
    def run(*words: str | Path) -> int:
        command = ["score", "--reference", files / "ref", "--test-set", "toy", "--output", files / "results", *words]
        return main([str(word) for word in command])

    return run


def tables(files: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    scores, differences = (read_table(files / f"results/{name}.csv", name) for name in ("bleu", "bleu_differences"))
    return scores, differences


def test_other_test_sets_stay(files: Path, score: Callable[..., int]) -> None:
    own = [pair(files, name) for name in TEXTS if name[0] == "a"]
    for words in (own, [*own, "--test-set", "other"], own[:1]):
        assert score(*words) == 0
    scores, differences = tables(files)
    assert set(zip(scores["test_set"], scores["level"], strict=True)) == {("other", 0), ("other", 1), ("toy", 0)}
    assert list(dict.fromkeys(scores["test_set"])) == ["toy", "other"]  # the first that was scored goes on being it
    assert set(differences["test_set"]) == {"other"}


def test_a_branch_is_tested_against_its_parent(files: Path, score: Callable[..., int]) -> None:
    own, branch = ([pair(files, name) for name in TEXTS if name[0] == run] for run in "ab")
    assert score(*branch, "--against", *own) == 0
    scores, differences = tables(files)
    assert scores["metric"].tolist() == ["sacrebleu", "sacrebleu", "chrf++", "chrf++"]
    words = CHRF(word_order=2).corpus_score(WORSE, [REFERENCES])
    assert scores["score"].tolist()[2:] == pytest.approx([words.score] * 2)
    scores, differences = (table[table["metric"] == "sacrebleu"] for table in (scores, differences))
    assert scores[["experiment", "level"]].to_numpy().tolist() == [["b", 1], ["b", 2]]
    compared = differences[["experiment", "level", "other_experiment", "other_level"]].to_numpy().tolist()
    assert compared == [["b", 1, "a", 0], ["b", 2, "a", 0], ["b", 1, "a", 1]]
    whole, mixed, worse = (BLEU().corpus_score(lines, [REFERENCES]).score for lines in (REFERENCES, MIXED, WORSE))
    assert differences["difference"].tolist() == pytest.approx([*[worse - whole] * 2, worse - mixed])
    assert scores["score"].tolist() == pytest.approx([worse, worse])
    assert differences["ratio"].tolist() == pytest.approx([*[worse / whole] * 2, worse / mixed])
    for value, low, high in (("difference", "low", "high"), ("ratio", "ratio_low", "ratio_high")):
        assert differences[value].between(differences[low], differences[high]).all()
    assert scores["n"].tolist() == [4, 4] and scores["test_set"].unique().tolist() == ["toy"]


def test_levels_are_tested_against_the_dense_one(files: Path, score: Callable[..., int]) -> None:
    metrics = ("--metrics", "compound_split_bleu", "sacrebleu", "sacrebleu")
    assert score(pair(files, "a0"), pair(files, "a1"), *metrics) == 0
    scores, differences = tables(files)
    assert scores[["metric", "level"]].to_numpy().tolist() == [
        ["compound_split_bleu", 0], ["compound_split_bleu", 1], ["sacrebleu", 0], ["sacrebleu", 1],
    ]  # fmt: skip
    assert differences[["level", "other_level"]].to_numpy().tolist() == [[1, 0], [1, 0]]
    assert score(pair(files, "a0")) == 0
    scores, differences = tables(files)
    assert len(scores) == 2 and not len(differences)


def test_every_fault_is_told_at_once(
    files: Path, score: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    run = files / "lr=7e-4/a"
    (run / "checkpoint_best.pt").touch()
    (run / "short").write_text("D-0\t-0.1\teins\nD-2\t-0.1\tzwei\n")
    (run / "odd").write_text("D-x\t-0.1\teins\n")
    (files / "checkpoint_lth0.pt").touch()
    status = score(
        f"{run}/checkpoint_lth0.pt={run}/short",
        f"{run}/checkpoint_lth0.pt={run}/odd",
        f"{run}/checkpoint_lth1.pt={run}/none",
        f"{run}/checkpoint_best.pt={run}/short",
        f"{run}/none.pt={run}/short",
        f"{files}/checkpoint_lth0.pt={run}/short",
    )
    assert status == 2 and not (files / "results").exists()
    found = capsys.readouterr().err.splitlines()
    expected = [
        f"{run}/none.pt={run}/short: expected CHECKPOINT=FILE",
        f"{run}/checkpoint_best.pt: is none of the levels in {run}/lth.csv: checkpoint_lth0.pt, checkpoint_lth1.pt",
        f"{files}/lth.csv: cannot be read",
        f"{run}/short and {run}/odd: both are given as level 0 of a",
        f"{run}/short: has D lines for 2 of 4 lines of --reference",
        f"{run}/odd:1: expected D-NUMBER",
        f"{run}/none: cannot be read (No such file or directory)",
    ]
    assert len(found) == len(expected)
    for text in expected:
        assert any(text in line for line in found), text


def test_translations_of_another_test_set_are_not_compared(
    files: Path, score: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    log = files / "lr=7e-4/a/test=1.txt"
    log.write_text(log.read_text().replace("T-2\ttwo", "T-2\tthree"))
    pairs = pair(files, "a0"), pair(files, "a1")
    assert score(*pairs) == 0  # detokenised BLEU takes the plain references
    assert score(*pairs, "--metrics", "compound_split_bleu") == 2
    assert "different T lines" in capsys.readouterr().err


def test_reference_that_is_missing(files: Path, score: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert score(pair(files, "a0"), "--reference", files / "nowhere") == 2
    assert "nowhere: cannot be read" in capsys.readouterr().err


def test_generated_lines_are_in_corpus_order(tmp_path: Path) -> None:
    path = tmp_path / "generate.log"
    path.write_bytes("S-1\tb\nD-1\t-0.5\tzwei drei\nH-0\t-0.1\teins\nD-0\t-0.1\teins\u2028\r\n".encode())
    assert read_generated(path).texts("D", 2) == ["eins\u2028", "zwei drei"]
    for count in (1, 3):
        with pytest.raises(InputError, match=f"2 of {count}"):
            read_generated(path).texts("D", count)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("D-0\t-0.5\teins\nD-0\t-1.5\tzwei\n", ":2: has D-0 twice: generate again, with --nbest 1"),
        ("D-0\t-0.5\teins\nD-00\t-1.5\teins\n", ":2: has D-0 twice"),
        ("D-0\t-0.5\tei@@ ns\n", "D-0 is still in pieces ('ei@@')"),
        ("D-0\t-0.5\tzwei ei@@\n", "D-0 is still in pieces ('ei@@')"),
        ("D-0\t-0.5\t▁ei ns\n", "D-0 is still in pieces ('▁ei')"),
        ("D-0\t-0.5\tei\rns\n", ":1: a carriage return inside of a line"),
    ],
)
def test_what_is_no_single_plain_translation_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "generate.log"
    path.write_text(text, newline="")
    with pytest.raises(InputError) as error:
        read_generated(path).texts("D", 1)
    assert str(error.value).startswith(str(path)) and message in str(error.value)


def test_pieces_matter_in_the_lines_that_are_scored(tmp_path: Path) -> None:
    path = tmp_path / "generate.log"
    path.write_text("\ufeffT-0\teins @ zwei\nH-0\t-0.5\tei@@ ns @ zwei\n\ufeffD-0\t-0.5\teins @ zwei\n")
    assert read_generated(path).texts("D", 1) == read_generated(path).texts("T", 1) == ["eins @ zwei"]
    with pytest.raises(InputError, match="H-0 is still in pieces"):
        read_generated(path).texts("H", 1)


@pytest.mark.parametrize("metric", metrics.METRICS)
def test_lines_that_sentencepiece_has_put_together_twice_are_refused(tmp_path: Path, metric: str) -> None:
    """`--bpe sentencepiece` beside `--remove-bpe sentencepiece`: it joins words, since they have no mark any more."""
    plain, reference = "wir sehen ein Haus", "wir sehen das Haus"
    model = SentencePieceProcessor(model_proto=_small_model([plain, reference]))
    pieces = " ".join(model.encode(plain, out_type=str))
    path = tmp_path / "generate.log"

    def texts(hypothesis: str, target: str, detokenised: str) -> metrics.Texts:
        path.write_text(f"T-0\t{target}\nH-0\t-0.5\t{hypothesis}\nD-0\t-0.5\t{detokenised}\n")
        return metrics.METRICS[metric].texts(read_generated(path), [reference])

    assert texts(plain, reference, plain).hypotheses == [plain]
    assert model.decode(pieces.split()) == plain
    with pytest.raises(InputError, match=f"{path}: T lines have no spaces between their words: generate again, with"):
        texts(plain, model.decode(reference.split()), model.decode(plain.split()))


def test_a_translation_may_be_one_word(tmp_path: Path) -> None:
    """A model that has learnt little says pieces of one word; what it should have said has its spaces."""
    path = tmp_path / "generate.log"
    path.write_text("T-0\tja\nH-0\t-0.5\te n de\nD-0\t-0.5\tende\nT-1\twir sehen dich\nH-1\t-0.5\te n\nD-1\t-0.5\ten\n")
    texts = metrics.METRICS["sacrebleu"].texts(read_generated(path), ["ja", "wir sehen dich"])
    assert texts.hypotheses == ["ende", "en"]


def test_a_script_without_spaces_may_stand_together(tmp_path: Path) -> None:
    path = tmp_path / "generate.log"
    path.write_text("T-0\t我们有房子\nH-0\t-0.5\t我们 有 一 所 房子\nD-0\t-0.5\t我们有一所房子\n")
    assert metrics.METRICS["sacrebleu"].texts(read_generated(path), ["我们 有 房子"]).hypotheses == ["我们有一所房子"]


def _small_model(lines: list[str]) -> bytes:
    model = io.BytesIO()
    SentencePieceTrainer.train(
        sentence_iterator=iter(lines * 20), model_writer=model, vocab_size=30, hard_vocab_limit=False, minloglevel=2
    )
    return model.getvalue()


def test_one_entry_makes_a_metric(files: Path, score: Callable[..., int], monkeypatch: pytest.MonkeyPatch) -> None:
    metric = metrics.Metric(
        "BLEU", "D", prepare=lambda line: line[:9], settings={"tokenize": "char"}, suffix="|first:9"
    )
    monkeypatch.setitem(metrics.METRICS, "first_words", metric)
    assert score(pair(files, "a0"), pair(files, "a1"), "--metrics", "first_words") == 0
    scores, differences = tables(files)
    assert scores["metric"].tolist() == ["first_words"] * 2 and differences["metric"].tolist() == ["first_words"]
    sides = [[line[:9] for line in lines] for lines in (MIXED, REFERENCES)]
    assert scores["score"][1] == pytest.approx(BLEU(tokenize="char").corpus_score(sides[0], [sides[1]]).score)
    assert all(signature.endswith("|first:9") and "tok:char" in signature for signature in scores["signature"])
