"""The arithmetic of levels, boundaries and rewinds, against a training that is counted out epoch by epoch."""

import pytest
from fairseq.data.iterators import CountingIterator, GroupedIterator
from hypothesis import given
from hypothesis import strategies as st

from fairseq_lth.training.schedule import Schedule, updates_of


@given(st.integers(1, 9).flatmap(lambda e: st.tuples(st.just(e), st.lists(st.integers(0, e - 1), max_size=5))))
def test_every_epoch_against_counting(plan):
    epochs, rewinds = plan
    schedule = Schedule(epochs, tuple(rewinds), 0, epochs)
    lengths = [epochs, *(epochs - rewind for rewind in rewinds)]
    levels = [level for level, length in enumerate(lengths) for _ in range(length)]
    assert schedule.total_epochs == len(levels)
    for epoch, level in enumerate(levels, start=1):
        assert schedule.level(epoch) == level
        last = epoch == len(levels) or levels[epoch] != level
        assert schedule.finishes_level(epoch) == last


def test_the_protocol_of_the_paper():
    schedule = Schedule(60, (30,) * 8, 0, 60)
    assert schedule.total_epochs == 300 and schedule.level(61) == 1 and schedule.last_epoch(8) == 300
    assert schedule.saved_epochs() == [30, *range(60, 301, 30)]


def test_a_branch_counts_from_its_level():
    schedule = Schedule(10, (4, 4, 2), 1, 16)
    assert [schedule.level(epoch) for epoch in (17, 22, 23, 30)] == [2, 2, 3, 3]
    assert schedule.total_epochs == 30
    assert schedule.saved_epochs() == [16, 22, 30]


@pytest.mark.parametrize("rewinds", [(), (1,), (0, 1)])
def test_the_last_level_lasts_to_the_end(rewinds):
    schedule = Schedule(3, rewinds, 0, 3)
    assert schedule.level(schedule.total_epochs + 5) == len(rewinds)


@given(st.integers(1, 30), st.lists(st.integers(1, 7), min_size=1, max_size=4), st.booleans(), st.integers(1, 6))
def test_updates_against_fairseqs_iterator(batches, per_update, drop_rest, epochs):
    found = 0
    for epoch in range(1, epochs + 1):
        size = per_update[epoch - 1] if epoch <= len(per_update) else per_update[-1]
        found += len(list(GroupedIterator(CountingIterator(range(batches)), size, drop_rest)))
    assert updates_of(range(1, epochs + 1), batches, per_update, drop_rest) == found
