"""What is drawn equals the table: values are read back from the figures."""

import io
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch
from PIL import Image
from scipy import stats

from probing_bridge.figures import FIGURES, SECTIONS
from probing_bridge.figures.style import DIVERGING, SEQUENTIAL, style
from probing_bridge.figures.svg import to_bytes, to_svg
from probing_bridge.probes.measures import side_metrics
from probing_bridge.results import naming, probing
from probing_bridge.results.folder import Results
from probing_bridge.results.runs import with_control

CURVES = {
    "fig_bleu_sparsity": ("sparsity", "score", 100),
    "fig_4_neuron_similarity": ("level", "score", 1),
    "fig_a5_layers_to_dense": ("level", "score", 1),
    "fig_output_groups": ("place", "score", 1),
    "fig_a1_modules": ("sparsity_prunable", "module_sparsity", 100),
    "fig_a2_projections": ("sparsity_prunable", "module_sparsity", 100),
}


def cells(axes: Axes) -> list[Rectangle]:
    """The cells of a heat map, row by row."""
    found = [artist for artist in axes.get_children() if isinstance(artist, Rectangle) and artist.get_gid()]
    return sorted(found, key=lambda cell: (cell.get_y(), cell.get_x()))


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>" and axes.axison]


def same_colors(axes: Axes, z: np.ndarray, bound: float) -> None:
    """The cells of a heat map have the diverging colours of the z-scores, row by row."""
    bound, drawn = max(1.0, bound), cells(axes)
    assert len(drawn) == z.size
    for cell, value in zip(drawn, z.ravel(), strict=True):
        assert cell.get_facecolor() == pytest.approx(colormaps[DIVERGING]((value + bound) / (2 * bound)), abs=1e-9)


@pytest.fixture(scope="module")
def full(full: Results, tmp_path_factory: pytest.TempPathFactory) -> Results:
    """The whole results, and a control beside them whose probes find less."""
    folder = tmp_path_factory.mktemp("control")
    changes = {"lth": {"score": "none"}, "probes": {"score": 0.98 * full["probes"]["score"]}, "similarity": {}}
    for name, changed in changes.items():
        table = full[name].drop(columns="run").assign(experiment="control-11aa", **changed)
        table.to_csv(folder / f"{name}.csv", index=False)
    return with_control(full, [folder])


@pytest.fixture(scope="module")
def pictures(full: Results) -> Callable[[str], Figure]:
    """Name -> the figure of `full`, drawn once; tests only look at it."""
    return cache(lambda name: FIGURES[name](FIGURES[name].data(full)))


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_its_frame_and_its_gap(name: str, full: Results, pictures) -> None:
    exhibit = FIGURES[name]
    frame = exhibit.data(full)
    assert len(frame) and exhibit.section in SECTIONS and exhibit.describe(frame) and exhibit.paper
    figure = pictures(name)
    assert isinstance(figure, Figure)
    assert (
        2 <= figure.get_figwidth() <= (16 if name.startswith("table") else 12)
    )  # inches; a table has its columns' width
    gap = exhibit(frame.iloc[:0])
    assert [text.get_text() for text in gap.axes[0].texts] == ["not run"]


def read_curves(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """Every marker is a row, every bar its interval."""
    x, y, scale = CURVES[name]
    factor = 100 if y == "module_sparsity" else 1
    drawn, bars = set(), set()
    for axes in panels(figure):
        for line in axes.lines:
            if str(line.get_gid()).startswith("mark|"):
                drawn.add((round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 6)))
        for segments in (c.get_segments() for c in axes.collections if isinstance(c, LineCollection)):
            bars |= {(round(float(a[0]), 6), round(float(a[1]), 6), round(float(b[1]), 6)) for a, b in segments}
    rows = frame.assign(x=scale * frame[x].astype(float), y=factor * frame[y].astype(float)).round({"x": 6, "y": 6})
    assert drawn == set(zip(rows["x"], rows["y"], strict=True))
    if "low" in rows:
        rows = rows.astype({"low": float, "high": float}).round({"low": 6, "high": 6})
        assert bars == set(zip(rows["x"], rows["low"], rows["high"], strict=True))


def read_path(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """Each stage has a panel, in order, with its rows as markers and its intervals as bars."""
    stages = list(dict.fromkeys(frame["stage"]))
    assert [axes.get_title() for axes in panels(figure)] == stages and len(stages) == 6
    for axes, stage in zip(panels(figure), stages, strict=True):
        part = frame[frame["stage"] == stage].astype({"level": float, "value": float, "low": float, "high": float})
        marks = [line for line in axes.lines if str(line.get_gid()).startswith("mark|")]
        drawn = [(line.get_xdata()[0], line.get_ydata()[0]) for line in marks]
        assert sorted(drawn) == sorted(zip(part["level"], part["value"], strict=True))
        found = [one.get_segments() for one in axes.collections if isinstance(one, LineCollection)]
        known = part.dropna(subset=["low"])
        bars = sorted((float(a[0]), float(a[1]), float(b[1])) for group in found for a, b in group)
        assert bars == sorted(zip(known["level"], known["low"], known["high"], strict=True))


def read_best(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """The colours are the z-scores, levels down and tasks across."""
    tasks = naming.task_order(list(frame["task"]))
    expected = frame.pivot(index="level", columns="task", values="z")[tasks].to_numpy()
    assert expected.shape == (9, 18)
    same_colors(panels(figure)[0], expected, np.abs(expected).max())


def read_layers(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """The colours are the mean z-scores, the highest layer on top, one panel a category."""
    categories = {"fig_3_layers": ["syntactic", "semantic"], "fig_a3_pos_layers": ["POS"]}[name]
    for axes, category in zip(panels(figure), categories, strict=True):
        part = frame[frame["category"] == category]
        assert axes.get_title().startswith(category)
        expected = part.pivot(index="layer", columns="level", values="z").iloc[::-1].to_numpy()
        assert expected.shape == (6, 9)
        same_colors(axes, expected, frame["z"].abs().max())


def read_sides(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """The numbers are the scores, their colours the z-scores; one panel a measure."""
    tasks = naming.task_order(list(frame["task"]))
    measures = ["score", "selectivity", "mdl_compression"]
    for axes, measure in zip(panels(figure), measures, strict=True):
        part = frame[frame["measure"] == measure]
        expected, scores = (
            part.pivot(index="level", columns="task", values=column)[tasks].to_numpy() for column in ("z", "score")
        )
        same_colors(axes, expected, frame["z"].abs().max())
        texts = sorted(axes.texts, key=lambda text: (round(text.get_position()[1]), text.get_position()[0]))
        assert [text.get_text() for text in texts] == [
            f"{100 * score:.0f}" if score <= 1 and measure != "mdl_compression" else f"{score:.1f}"
            for score in scores.ravel()
        ]


def read_pairs(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """Every pair of layers in its place, highest on top: within LTH0, within the sparsest, between the two."""
    components = list(dict.fromkeys(frame["component"]))
    assert len(components) == (2 if name == "fig_a8_decoder_attention" else 1)
    places = [(component, pair) for component in components for pair in [(0, 0), (8, 8), (0, 8)]]
    scores = frame.set_index(["component", "level_a", "level_b", "layer_a", "layer_b"])["score"]
    for axes, (component, pair) in zip(panels(figure), places, strict=True):
        values = scores[(component, *pair)]
        assert len(cells(axes)) == len(values) == 36
        for cell in cells(axes):
            value = values[str(6 - int(cell.get_y())), str(1 + int(cell.get_x()))]
            assert cell.get_facecolor() == pytest.approx(colormaps[SEQUENTIAL](float(value)), abs=1e-9)
            assert f"{value:.3f}" in cell.get_gid()


def read_distribution(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """Every step is the share of its bin; panels by component and layer."""
    places = [(component, layer) for component in ("encoder", "decoder") for layer in ("1", "6")]
    for axes, (component, layer) in zip(panels(figure), places, strict=True):
        assert axes.get_title() == f"{component}, layer {layer}"
        steps = {step.get_label(): step.get_data() for step in axes.patches if isinstance(step, StepPatch)}
        assert list(steps) == [f"LTH{level}" for level in range(1, 9)]
        for label, step in steps.items():
            rows = frame[(frame["component"] == component) & (frame["layer"] == layer)]
            rows = rows[rows["level"] == int(label.removeprefix("LTH"))]
            assert step.values == pytest.approx(100 * rows["share"].to_numpy())
            assert step.edges[:-1] == pytest.approx(rows["bin_low"].to_numpy())


def read_spectrum(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """Every line is the cumulative variance of one level."""
    for axes, component in zip(panels(figure), ("encoder", "decoder"), strict=True):
        lines = {line.get_label(): line for line in axes.lines if str(line.get_gid()).startswith("mark|")}
        assert list(lines) == [f"LTH{level}" for level in range(9)]
        for label, line in lines.items():
            rows = frame[(frame["component"] == component) & (frame["level"] == int(label.removeprefix("LTH")))]
            assert line.get_xdata() == pytest.approx(rows["k"].to_numpy())
            assert line.get_ydata() == pytest.approx(100 * rows["cumulative_variance"].to_numpy())


def read_groups(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """Every point is a group's score and stands beside its name; every bar its interval."""
    assert [label.get_text() for axes in panels(figure) for label in axes.get_yticklabels()] == frame["group"].tolist()
    drawn = [float(line.get_xdata()[0]) for axes in panels(figure) for line in axes.lines]
    assert drawn == pytest.approx(frame["score"].tolist())
    bars = [segment[:, 0].tolist() for axes in panels(figure) for segment in axes.collections[0].get_segments()]
    assert np.array(bars) == pytest.approx(frame[["low", "high"]].to_numpy(dtype=float))


def read_table(name: str, frame: pd.DataFrame, figure: Figure) -> None:
    """The texts are those of the table on the page."""
    show = FIGURES[name].show
    assert show is not None
    shown = show(frame)
    texts = sorted(text.get_text().replace("\n", " ") for text in figure.axes[0].texts)
    assert texts == sorted([*shown.columns, *(str(cell) for row in shown.to_numpy() for cell in row)])


READ_BACK = {
    **dict.fromkeys(CURVES, read_curves),
    **dict.fromkeys((name for name, exhibit in FIGURES.items() if exhibit.show is not None), read_table),
    **dict.fromkeys(("fig_1_linear_probes", "fig_2_mlp_probes"), read_best),
    **dict.fromkeys(("fig_3_layers", "fig_a3_pos_layers"), read_layers),
    "fig_mdl_selectivity": read_sides,
    "fig_damage_path": read_path,
    **dict.fromkeys(
        ("fig_5_encoder_layers", "fig_a6_decoder_layers", "fig_6_encoder_attention", "fig_a8_decoder_attention"),
        read_pairs,
    ),
    "fig_a4_neuron_distribution": read_distribution,
    "fig_a7_spectrum": read_spectrum,
    "fig_groups": read_groups,
}


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_drawn_is_the_frame(name: str, full: Results, pictures) -> None:
    assert name in READ_BACK, f"{name} has no function that reads its values back"
    frame = FIGURES[name].data(full)
    READ_BACK[name](name, frame, pictures(name))


def test_the_best_layers_are_those_of_the_raw_table(full: Results) -> None:
    """The paper's way picks at each level; Fig. 1 has one layer, by the development scores of all levels."""
    probes = full["probes"]
    rows = probes[(probes["task"] == "coref") & (probes["probe"] == "linear") & (probes["metric"] == "accuracy")]
    rows = rows[rows["layer"] != "0"]
    best = rows.groupby("level")["score"].max()
    shown = FIGURES["table_a2_best_on_test"].data(full).query("task == 'coref'").set_index("level")
    assert shown["score"].tolist() == pytest.approx(best.tolist())
    assert shown["z"].tolist() == pytest.approx(((best - best.mean()) / best.std(ddof=0)).tolist())
    layer = rows.groupby("layer")["dev_score"].mean().idxmax()
    chosen = rows[rows["layer"] == layer].set_index("level")["score"]
    frame = FIGURES["fig_1_linear_probes"].data(full).query("task == 'coref'").set_index("level")
    assert set(frame["layer"]) == {layer} and frame["score"].tolist() == pytest.approx(chosen.tolist())


def test_groups_are_ordered_by_rank_or_score(full: Results) -> None:
    groups = FIGURES["fig_groups"].data(full)
    assert groups[groups["kind"] == "frequency"]["group"].tolist() == ["0-5", "100-500", "2500-"]
    assert groups[groups["kind"] == "pos"]["score"].is_monotonic_decreasing


def test_markers_behind_a_gap_keep_their_names(full: Results) -> None:
    frame = FIGURES["fig_a1_modules"].data(full)
    unknown = frame.assign(sparsity_prunable=frame["sparsity_prunable"].mask(frame["level"] == 2))
    named = {}
    for rows in (frame, unknown):
        marks = [
            line for line in panels(FIGURES["fig_a1_modules"](rows))[0].lines if str(line.get_gid())[:5] == "mark|"
        ]
        named[len(marks)] = {line.get_gid(): (line.get_xdata()[0], line.get_ydata()[0]) for line in marks}
    gap, whole = (named[number] for number in sorted(named))
    assert len(gap) < len(whole) and gap.items() <= whole.items()


def test_of_several_runs_a_bar_between_two_bounds_is_as_wide_as_they_are_apart(full: Results) -> None:
    frame = FIGURES["fig_output_groups"].data(full)
    three = pd.concat(
        [frame.assign(run=run, upper=frame["upper"] + shift) for run, shift in ((1, 0.0), (2, 0.01), (3, 0.02))]
    )
    figure = FIGURES["fig_output_groups"](three)
    bars = [
        one.get_segments() for axes in panels(figure) for one in axes.collections if isinstance(one, LineCollection)
    ]
    drawn = sorted((round(float(a[1]), 9), round(float(b[1]), 9)) for group in bars for a, b in group)
    half = stats.t.ppf(0.975, 2) * 0.01 / 3**0.5  # the lower bounds are the same in all three, the upper ones are not
    wanted = sorted((round(row.score, 9), round(row.upper + 0.01 + half, 9)) for row in frame.itertuples())
    assert np.array(drawn) == pytest.approx(np.array(wanted))


def test_a_missing_level_is_a_hatched_gap_and_no_number(full: Results) -> None:
    frame = FIGURES["fig_1_linear_probes"].data(full)
    without = frame[~((frame["task"] == "ner") & (frame["level"] == 3))]
    axes = panels(FIGURES["fig_1_linear_probes"](without))[0]
    gaps = [cell for cell in cells(axes) if cell.get_hatch()]
    assert [cell.get_gid() for cell in gaps] == ["mark|3||NER, LTH3: not run"]
    assert len([text for text in axes.texts if re.fullmatch(r"−?\d\.\d", text.get_text())]) == 9 * 18 - 1


def test_missing_tasks_get_columns_while_they_are_few(full: Results) -> None:
    frame = FIGURES["fig_1_linear_probes"].data(full)
    few = panels(FIGURES["fig_1_linear_probes"](frame[frame["task"] != "coref"]))[0]
    assert len(few.get_xticklabels()) == 18 and few.get_xticklabels()[-1].get_text() == "Coref"
    four = frame[frame["task"].isin(["pos", "ef", "syn_arc_prediction", "syn_arc_classification"])]
    figure = FIGURES["fig_1_linear_probes"](four)
    assert len(panels(figure)[0].get_xticklabels()) == 4
    assert figure.get_supxlabel() == "not run: 14 of the paper's 18 tasks"


def test_the_distribution_counts_every_neuron_once(full: Results) -> None:
    frame = FIGURES["fig_a4_neuron_distribution"].data(full)
    sums = frame.groupby(["component", "layer", "level"])["share"].sum()
    assert sums.tolist() == pytest.approx([1.0] * len(sums))
    assert set(frame["n"]) == {24}


def test_seeds_are_averaged_and_never_mixed_with_side_metrics(full: Results) -> None:
    probes = full["probes"]
    seeds = [probes, probes.assign(seed=2, score=probes["score"] + 0.02)]
    twice = pd.concat(seeds, ignore_index=True)
    results = replace(full, tables={**full.tables, "probes": twice})
    one, two = probing.probe_scores(full, "linear"), probing.probe_scores(results, "linear")
    assert (two["score"] - one["score"]).to_numpy() == pytest.approx(0.01)
    assert set(two["seeds"]) == {2} and not set(two["metric"]) & side_metrics()
    assert two["low"].isna().all()  # the mean of two ends is not the end of the interval of the mean
    mean = probes[probes["layer"] != "-"].assign(seed=pd.NA, score=probes["score"] + 0.01, low=0.0, high=1.0)
    with_mean = {**full.tables, "probes": pd.concat([*seeds, mean], ignore_index=True)}
    three = probing.probe_scores(replace(full, tables=with_mean), "linear")
    assert three["score"].tolist() == pytest.approx(two["score"].tolist()) and set(three["low"]) == {0.0}


def test_files_have_no_dates_and_equal_bytes(full: Results) -> None:
    frame = FIGURES["fig_bleu_sparsity"].data(full)
    with style():
        first, second = FIGURES["fig_bleu_sparsity"](frame), FIGURES["fig_bleu_sparsity"](frame)
        assert to_svg(first) == to_svg(second)
        for form, magic in (("pdf", b"%PDF"), ("png", b"\x89PNG")):
            content = to_bytes(first, form)
            assert content.startswith(magic) and content == to_bytes(second, form)
            assert b"CreationDate" not in content
    assert "<title>" in to_svg(first) and 'id="mark|' not in to_svg(first)


@pytest.mark.parametrize("name", ["table_own_index", "fig_5_encoder_layers"])
def test_pngs_are_small_and_keep_their_colours(name: str, pictures) -> None:
    figure = pictures(name)
    content = to_bytes(figure, "png")
    assert len(content) < 150_000
    image = Image.open(io.BytesIO(content))
    whole = io.BytesIO()
    figure.savefig(whole, format="png", dpi=200, facecolor="white")
    colors, expected = (np.asarray(i.convert("RGB"), dtype=int) for i in (image, Image.open(whole)))
    assert np.abs(colors - expected).mean() < 1  # of 255


@pytest.mark.parametrize("name", FIGURES)
def test_no_two_labels_overlap(name: str, pictures) -> None:
    figure = pictures(name)
    with style():
        figure.draw_without_rendering()  # titles find their place
        renderer = FigureCanvasAgg(figure).get_renderer()
        texts = []
        for axes in figure.axes:
            drawn = [*axes.xaxis._update_ticks(), *axes.yaxis._update_ticks()] if axes.axison else []  # those in view
            ticks = [label for tick in drawn for label in (tick.label1, tick.label2)]
            texts += [axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label, *ticks, *axes.texts]
        texts += [text for legend in figure.legends for text in legend.get_texts()]
        boxes = [
            (text.get_text(), text.get_window_extent(renderer))
            for text in texts
            if text.get_text() and text.get_visible() and text.get_rotation() in (0, 90)
        ]
    inside = [(text, box) for text, box in boxes if box.x1 > 0 and box.x0 < figure.bbox.width]
    for i, (text, box) in enumerate(inside):
        for other, its in inside[i + 1 :]:
            across = min(box.x1, its.x1) - max(box.x0, its.x0)
            down = min(box.y1, its.y1) - max(box.y0, its.y0)
            assert across < 1 or down < 1.5, f"{name}: {text!r} and {other!r} overlap"
