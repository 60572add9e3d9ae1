"""A number of the page links to the row of a table that has it."""

import re
from pathlib import Path

import pandas as pd

from probing_bridge.figures import FIGURES
from probing_bridge.report.anchors import place_of, places_of, with_ids


def test_every_row_of_a_table_has_an_id_of_its_own() -> None:
    frame = pd.DataFrame({"task": ["PS-Fxn †", "POS", "POS"], "score": ["1", "2", "3"]})
    parts = with_ids("table", [("encoder, by layer", frame), ("decoder, by layer", frame)])
    assert parts[0].ids == (
        "table-encoder-by-layer-ps-fxn", "table-encoder-by-layer-pos", "table-encoder-by-layer-pos-2",
    )  # fmt: skip
    assert parts[0].rows[1] == ("table-encoder-by-layer-pos", ["POS", "2"])
    assert len({one for part in parts for one in part.ids}) == 6
    assert places_of(parts) == {"PS-Fxn": parts[0].ids[0], "POS": parts[0].ids[1]}


def test_an_effect_is_found_by_what_it_is_of() -> None:
    places = {"table": {"PS-Fxn": "row-1", "LTH7": "row-2"}, "picture": {}}
    assert place_of("PS-Fxn", "table", places) == "row-1"
    assert place_of("PS-Fxn, PS-Role, LTH7", "table", places) == "row-1"
    assert place_of("BLEU, LTH7", "table", places) == "row-2"
    assert place_of("encoder", "table", places) == "table"
    assert place_of("PS-Fxn", "picture", places) == "picture"
    assert place_of("PS-Fxn", "of no page", places) == ""


def test_effects_of_tasks_link_to_their_rows(small_page: Path) -> None:
    page = small_page.read_text()
    cells = dict(re.findall(r'<tr id="(table_[^"]+)"[^>]*><th scope="row">([^<]*)</th>', page))
    links = re.findall(
        r'<tr id="claim-\d+-\d+"[^>]*>\s*<th scope="row">([^<]*)</th>(?:(?!</tr>).)*?<td><a href="#([^"]+)">',
        page,
        re.S,
    )
    tasks = [(name, place) for name, place in links if name in ("POS", "CCG", "Parent", "GParent")]
    assert len(tasks) >= 4 and all(cells[place].removesuffix(" †") == name for name, place in tasks)
    assert ("POS", "table_4_2_trends-pos") in tasks
    assert dict(links)["POS, LTH0"] == "table_a2_linear_scores-pos"


def test_pictures_name_tables_that_are_on_the_page() -> None:
    named = {table for exhibit in FIGURES.values() for table in exhibit.tables}
    assert named and all(FIGURES[table].show is not None for table in named)
