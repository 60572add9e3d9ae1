"""BLEU against fairseq's own scorer, paired tests against all swaps of a few sentences."""

import itertools

import pytest
from sacrebleu.metrics import BLEU

from probing_bridge.translation.bleu import METRICS, TRIALS, Texts, apart, paired_p, split_compounds, statistics, take
from probing_bridge.translation.generated import read_generated


def test_compound_split_bleu_is_fairseqs(tmp_path):
    """fairseq's own scorer on the same tokens, after the substitution that its shell script makes with perl."""
    pytest.importorskip("fairseq", reason="fairseq's scorer: no fairseq here (extra train)")
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
    metric = METRICS["compound_split_bleu"]
    ours = take(metric, metric.texts(read_generated(tmp_path / "log"), ["", ""]))
    words = Dictionary()
    scorer = Scorer(BleuConfig(pad=words.pad(), eos=words.eos(), unk=words.unk()))
    for found, target in pairs:
        sides = (split_compounds(text) for text in (target, found))
        scorer.add(*(words.encode_line(side, add_if_not_exist=True).int() for side in sides))
    assert ours.score == pytest.approx(scorer.score(), abs=1e-3)
    by_perl = "a ##AT##-##AT## b-c d - e x ##AT##-##AT## y"  # its pattern does not take a letter twice
    assert split_compounds("a-b-c d - e x-y") == by_perl
    assert ours.signature.endswith("compounds:split")


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
def test_p_is_the_share_of_swaps_that_differ_at_least_as_much(other):
    p, signature = paired_p(METRICS["sacrebleu"], Texts(WORSE, REFERENCES), Texts(other, REFERENCES))
    exact = exact_p(WORSE, other)
    assert p == pytest.approx(exact, abs=4 * (0.25 / TRIALS) ** 0.5)
    assert p == 1 or exact < 1
    assert "|ar:10000|" in signature and "tok:13a" in signature


def test_statistics_add_up_to_the_corpus():
    bleu = BLEU()
    sums = statistics(bleu, Texts(WORSE, REFERENCES)).sum(axis=0)
    whole = bleu.corpus_score(WORSE, [REFERENCES])
    assert sums.tolist() == [*whole.counts, *whole.totals, whole.sys_len, whole.ref_len]
    assert apart(bleu, sums, 0 * sums) == pytest.approx(whole.score)
