"""recipes/score.py: BLEU against fairseq's own scorer, paired tests against all swaps of a few sentences."""

import itertools
from types import SimpleNamespace

import pandas as pd
import pytest
from sacrebleu.metrics import BLEU

from probing_bridge.formats.tables import read_table


@pytest.fixture(scope="module")
def score(script):
    return script("score.py")


def test_missing_hypothesis_is_refused(tmp_path, score):
    log = tmp_path / "generate.log"
    log.write_text("S-1\tb\nD-1\t-0.5\tzwei\nH-0\t-0.1\teins\nD-0\t-0.1\teins\n")
    assert score.lines(log, "D", 2) == ["eins", "zwei"]
    with pytest.raises(SystemExit, match="2 of 3"):
        score.lines(log, "D", 3)


def test_compound_split_bleu_is_fairseqs(tmp_path, score):
    """fairseq's own scorer on the same tokens, after the substitution that its shell script makes with perl."""
    from fairseq.data import Dictionary
    from fairseq.scoring.bleu import BleuConfig, Scorer

    pairs = [
        (
            "ein gut-bekannter Hund sieht den alten Baum am Fluss -",
            "ein gut-bekannter Hund sah den alten Baum am Fluss -",
        ),
        ("a-b-c und x-y laufen sehr schnell", "a-b-c und x - y laufen sehr schnell nach Hause"),
    ]
    log = [f"T-{k}\t{target}\nH-{k}\t-0.5\t{found}\nD-{k}\t-0.5\t{found}" for k, (found, target) in enumerate(pairs)]
    (tmp_path / "log").write_text("\n".join(reversed(log)))
    ours = score.score("compound_split_bleu", *score.sides("compound_split_bleu", tmp_path / "log", ["", ""]))
    words = Dictionary()
    scorer = Scorer(BleuConfig(pad=words.pad(), eos=words.eos(), unk=words.unk()))
    for found, target in pairs:
        sides = (score.split_compounds(text) for text in (target, found))
        scorer.add(*(words.encode_line(side, add_if_not_exist=True).int() for side in sides))
    assert ours["score"] == pytest.approx(scorer.score(), abs=1e-3)
    by_perl = "a ##AT##-##AT## b-c d - e x ##AT##-##AT## y"  # its pattern does not take a letter twice
    assert score.split_compounds("a-b-c d - e x-y") == by_perl
    assert ours["signature"].endswith("compounds:split")


REFERENCES = [
    "the old dog sleeps under the big tree",
    "a red house stands at the end of the street",
    "two children play with a small ball in the park",
    "the woman reads a long letter from her brother",
    "a man sells fresh fish at the market every morning",
    "the train to the city leaves in ten minutes",
    "she has never seen such a tall building before",
    "it rains a lot in the north of the country",
]
WORSE = [
    "the dog sleeps under a tree big",
    "a red house stands at end of the street",
    "two kids play with a small ball in a park",
    "the woman reads a long letter from her brother",
    "a man sells fish fresh at the market each morning",
    "the train to the city goes in ten minutes",
    "she has never seen a building so tall before",
    "in the north of the country it rains much",
]
MIXED = [*REFERENCES[:3], *(line.replace("the", "a") for line in REFERENCES[3:])]


def exact_p(one: list[str], other: list[str]) -> float:
    """The share of all 256 swaps whose BLEU differs at least as much, each scored by sacrebleu as a corpus."""
    bleu = BLEU()

    def apart(a, b):
        return abs(bleu.corpus_score(a, [REFERENCES]).score - bleu.corpus_score(b, [REFERENCES]).score)

    pairs = list(zip(one, other, strict=True))
    swaps = [
        apart(*zip(*(pair[::-1] if swap else pair for pair, swap in zip(pairs, choice, strict=True)), strict=True))
        for choice in itertools.product((False, True), repeat=len(pairs))
    ]
    return sum(found > apart(one, other) - 1e-9 for found in swaps) / len(swaps)


@pytest.mark.parametrize("other", [MIXED, [*WORSE[:4], *MIXED[4:]], WORSE, [*WORSE[:7], MIXED[7]]])
def test_p_is_the_share_of_swaps_that_differ_at_least_as_much(score, other):
    p, signature = score.paired_p("sacrebleu", (WORSE, REFERENCES), (other, REFERENCES))
    exact = exact_p(WORSE, other)
    assert p == pytest.approx(exact, abs=4 * (0.25 / score.TRIALS) ** 0.5)
    assert p == 1 or exact < 1
    assert "|ar:10000|" in signature and "tok:13a" in signature


def test_statistics_add_up_to_the_corpus(score):
    bleu = BLEU()
    sums = score.statistics(bleu, WORSE, REFERENCES).sum(axis=0)
    whole = bleu.corpus_score(WORSE, [REFERENCES])
    assert sums.tolist() == [*whole.counts, *whole.totals, whole.sys_len, whole.ref_len]
    assert score.apart(bleu, sums, 0 * sums) == pytest.approx(whole.score)


def test_translations_of_another_test_set_are_not_compared(score):
    with pytest.raises(SystemExit, match="not of one test set"):
        score.paired_p("compound_split_bleu", (WORSE, REFERENCES), (MIXED, WORSE))


def test_a_branch_is_tested_against_its_parent(score, tmp_path, monkeypatch):
    texts = {"a0": REFERENCES, "a1": MIXED, "b1": WORSE, "b2": WORSE}
    for name, lines in texts.items():
        (tmp_path / name).write_text("".join(f"D-{i}\t-0.1\t{line}\n" for i, line in enumerate(lines)))
    (tmp_path / "ref").write_text("".join(f"{line}\n" for line in REFERENCES))
    monkeypatch.setattr(score, "level_record", lambda path: SimpleNamespace(experiment=path[0], level=int(path[1])))

    def tested(*words):
        command = [
            "score.py",
            "--reference",
            str(tmp_path / "ref"),
            "--test-set",
            "toy",
            "--output",
            str(tmp_path / "r"),
        ]
        monkeypatch.setattr("sys.argv", [*command, *words])
        score.main()
        return (read_table(tmp_path / "r" / f"{name}.csv", name) for name in ("bleu", "bleu_differences"))

    own, branch = ([f"{name}={tmp_path / name}" for name in texts if name[0] == letter] for letter in "ab")
    bleu, differences = tested(*branch, "--against", *own)
    assert bleu[["experiment", "level"]].to_numpy().tolist() == [["b", 1], ["b", 2]]
    compared = differences[["experiment", "level", "other_experiment", "other_level"]].to_numpy().tolist()
    assert compared == [["b", 1, "a", 0], ["b", 2, "a", 0], ["b", 1, "a", 1]]
    scores = [BLEU().corpus_score(lines, [REFERENCES]).score for lines in (REFERENCES, MIXED, WORSE)]
    assert differences["difference"].tolist() == pytest.approx([*[scores[2] - scores[0]] * 2, scores[2] - scores[1]])
    bleu, differences = tested(*own)
    assert differences[["level", "other_level"]].to_numpy().tolist() == [[1, 0]]
    bleu, differences = tested(own[0])
    assert len(bleu) == 1 and isinstance(differences, pd.DataFrame) and not len(differences)
