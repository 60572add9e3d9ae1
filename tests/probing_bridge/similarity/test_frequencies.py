"""`similarity` where the dictionary's counts say nothing of frequency."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probing_bridge import run
from probing_bridge.formats.tables import read_table


def test_placeholder_counts_are_refused_unless_ranks_are_of_the_dumped_sentences(
    make_dumps: Callable[..., Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maker = make_dumps(components=("encoder",))
    maker.counts = [1, 1, 1, 1, *[100] * 8]  # as of a sentencepiece vocabulary made into a dict.txt
    paths = [str(maker.level(k).path) for k in range(2)]
    command = ["similarity", "--dumps", *paths, "--output", str(tmp_path / "r")]
    assert run.main(command) == 2
    error = capsys.readouterr().err
    assert "lth0.h5: the source dictionary gives every piece the same count" in error
    assert "--frequencies dump" in error and error.count("\n") == 1 and not (tmp_path / "r").exists()

    assert run.main([*command, "--frequencies", "dump"]) == 0
    rows = read_table(tmp_path / "r" / "similarity.csv", "similarity")
    counts = Counter(np.concatenate(maker.tokens["source"]).tolist())
    counts.pop(2)  # EOS
    common = sum(count for _, count in counts.most_common(5))
    sizes = rows[rows["group"].str.startswith("frequency")].groupby("group")["n"].unique().map(list).to_dict()
    assert sizes == {"frequency:0-5": [common], "frequency:5-25": [counts.total() - common]}
