"""The candidates that negatives are drawn from, and what a long sentence costs."""

import random
import time
import tracemalloc

from probing_bridge.corpora.readers.arcs import _Candidates, arc_instance, sample_negatives


def test_candidates_have_the_order_of_the_original_list():
    rng = random.Random(1)
    sizes = [*range(1, 60), *(rng.randrange(60, 3000) for _ in range(25))]
    for n in sizes:
        for k in {1, 2, 3, n // 4 - 1, n // 4, n // 4 + 1, n // 2, rng.randrange(1, n + 1)}:
            if 0 < k <= n:
                taken = set(rng.sample(range(n), k))
                assert list(_Candidates(n, taken)) == list(set(range(n)) - taken), (n, k)


def test_a_sentence_of_16000_words_takes_little():
    """It took 29 s and 2.7 GB at half the length, as all other words were listed for each."""
    n = 16_000
    gold = arc_instance(["w"] * n, [(word, word - 1, "dep") for word in range(1, n)])
    tracemalloc.start()
    began = time.process_time()
    (found,) = sample_negatives([gold])
    seconds, (_, peak) = time.process_time() - began, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found.labels) == 2 * (n - 1) and seconds < 10 and peak < 100e6
