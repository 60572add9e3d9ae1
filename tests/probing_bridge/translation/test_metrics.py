"""Metrics against fairseq's and sacrebleu's own scorers, differences against swaps and samples of few sentences."""

import itertools

import numpy as np
import pytest
from sacrebleu.metrics import BLEU, CHRF

from probing_bridge.translation.differences import BOOTSTRAP, SEED, TRIALS, compare, score, statistics
from probing_bridge.translation.generated import read_generated
from probing_bridge.translation.metrics import METRICS, Texts, split_compounds, take


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


SCORERS = {"sacrebleu": BLEU(), "chrf++": CHRF(word_order=2)}


def exact_p(name: str, one: list[str], other: list[str]) -> float:
    """The share of all 256 swaps whose score differs at least as much, each scored by sacrebleu as a corpus."""

    def apart(a, b):
        return abs(
            SCORERS[name].corpus_score(a, [REFERENCES]).score - SCORERS[name].corpus_score(b, [REFERENCES]).score
        )

    pairs = list(zip(one, other, strict=True))
    swaps = [
        apart(*zip(*(pair[::-1] if swap else pair for pair, swap in zip(pairs, choice, strict=True)), strict=True))
        for choice in itertools.product((False, True), repeat=len(pairs))
    ]
    return sum(found > apart(one, other) - 1e-9 for found in swaps) / len(swaps)


@pytest.mark.parametrize("name", SCORERS)
@pytest.mark.parametrize(
    "other",
    [MIXED, pytest.param([*WORSE[:4], *MIXED[4:]], marks=pytest.mark.slow), WORSE, [*WORSE[:7], MIXED[7]]],
)
def test_p_is_the_share_of_swaps_that_differ_at_least_as_much(other, name):
    found = compare(METRICS[name], Texts(WORSE, REFERENCES), Texts(other, REFERENCES))
    exact = exact_p(name, WORSE, other)
    assert found.p == pytest.approx(exact, abs=4 * (0.25 / TRIALS) ** 0.5)
    assert found.p == 1 or exact < 1
    assert "|ar:10000|" in found.signature and ("tok:13a" if name == "sacrebleu" else "nw:2") in found.signature


@pytest.mark.parametrize("name", SCORERS)
def test_intervals_are_of_samples_of_sentences_that_both_translations_share(name):
    found = compare(METRICS[name], Texts(WORSE, REFERENCES), Texts(MIXED, REFERENCES))
    draws = np.random.default_rng(SEED).multinomial(8, [1 / 8] * 8, BOOTSTRAP)
    scores = []
    for draw in draws[:200]:
        sides = (
            [line for line, n in zip(lines, draw, strict=True) for _ in range(n)]
            for lines in (WORSE, MIXED, REFERENCES)
        )
        one, other, references = sides
        scores.append([SCORERS[name].corpus_score(lines, [references]).score for lines in (one, other)])
    one, other = np.array(scores).T
    whole = [SCORERS[name].corpus_score(lines, [REFERENCES]).score for lines in (WORSE, MIXED)]
    assert found.difference == pytest.approx(whole[0] - whole[1]) and found.ratio == pytest.approx(whole[0] / whole[1])
    for ends, values in (((found.low, found.high), one - other), ((found.ratio_low, found.ratio_high), one / other)):
        assert ends == pytest.approx(np.percentile(values, (2.5, 97.5)), abs=0.6 * values.std())  # of 200 samples
    same = compare(METRICS[name], Texts(WORSE, REFERENCES), Texts(WORSE, REFERENCES))
    assert (same.low, same.high, same.ratio_low, same.ratio_high, same.p) == (0, 0, 1, 1, 1)


def test_nothing_is_a_share_of_a_score_of_zero():
    found = compare(METRICS["chrf++"], Texts(WORSE, REFERENCES), Texts(["~"] * 8, REFERENCES))
    assert found.difference > 0 and np.isnan([found.ratio, found.ratio_low, found.ratio_high]).all()


@pytest.mark.parametrize("name", SCORERS)
def test_statistics_add_up_to_the_corpus(name):
    scorer = METRICS[name].scorer(Texts(WORSE, REFERENCES))
    sums = statistics(scorer, Texts(WORSE, REFERENCES)).sum(axis=0)
    whole = SCORERS[name].corpus_score(WORSE, [REFERENCES]).score
    assert score(scorer, sums) == pytest.approx(whole)
    assert take(METRICS[name], Texts(WORSE, REFERENCES)).score == pytest.approx(whole)
