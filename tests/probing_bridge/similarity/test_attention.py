"""Single attention distributions."""

import numpy as np
import pytest
import scipy.stats

from probing_bridge.similarity.measures.attention_distributions import DistributionCounter, concentrated, entropy
from probing_bridge.similarity.measures.registry import DISTRIBUTION_MEASURES
from probing_bridge.similarity.sums.resampling import interval


def test_statistics_of_each_distribution() -> None:
    random = np.random.default_rng(0)
    lengths = [1, 5, 3, 7]
    parts = [random.dirichlet(np.full(n, 0.3), 2).T.astype(np.float32) for n in lengths]
    parts[2][:] = [[1, 0], [0, 0.5], [0, 0.5]]
    rows, starts = np.concatenate(parts), np.array([0, 1, 6, 9])
    for threshold in (0.5, 0.7):
        largest = np.array([part.max(axis=0) for part in parts])
        np.testing.assert_array_equal(concentrated(rows, starts, threshold), largest > threshold)
    found = entropy(rows, starts, 0.5)
    np.testing.assert_allclose(found, [scipy.stats.entropy(part, axis=0) for part in parts], atol=1e-6)
    assert found[2] == pytest.approx([0, np.log(2)])


def test_counts_by_block_do_not_depend_on_chunks() -> None:
    units = np.array([0, 2, 4, 7, 10])
    rows = np.array([[0.96], [0.04], [0.5], [0.5], [0.95], [0.05], [0], [0.2], [0.2], [0.6]], np.float32)
    counter = DistributionCounter(DISTRIBUTION_MEASURES, 1, 2, units, threshold=0.95)
    counter(0, 0, 0, rows[:2])
    counter(0, 0, 2, rows[2:4])
    counter(1, 0, 4, rows[4:])
    ((layer, n, estimates),) = list(counter.estimates(np.array([[2.0, 0.0], [0.0, 2.0]])))
    assert (layer, n) == (0, 4)
    share = estimates["attention_concentration"]
    assert share.value == 0.25
    np.testing.assert_array_equal(share.resampled, [0.5, 0])
    expected = np.mean([scipy.stats.entropy(rows[a:b, 0]) for a, b in ((0, 2), (2, 4), (4, 7), (7, 10))])
    assert estimates["attention_entropy"].value == pytest.approx(expected, abs=1e-6)
    low, high = interval(0.25, share.resampled, 2, DISTRIBUTION_MEASURES["attention_concentration"].bounds)
    assert low == 0 and high > 0.25
