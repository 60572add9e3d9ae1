"""What is drawn equals the table: values are read back from the figures."""

import re

import numpy as np
import pandas as pd
import pytest
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from probing_bridge import summaries
from probing_bridge.figures import FIGURES, SECTIONS
from probing_bridge.figures.style import DIVERGING, SEQUENTIAL, style, to_bytes, to_svg
from probing_bridge.results import Results

CURVES = {
    "fig_bleu_sparsity": ("sparsity", "score", 100),
    "fig_4_neuron_similarity": ("level", "score", 1),
    "fig_a5_layers_to_dense": ("level", "score", 1),
    "fig_a1_modules": ("sparsity_prunable", "module_sparsity", 100),
    "fig_a2_projections": ("sparsity_prunable", "module_sparsity", 100),
}
TABLES = [name for name, exhibit in FIGURES.items() if exhibit.show is not None]


def cells(axes: Axes) -> list[Rectangle]:
    """The cells of a heat map, row by row."""
    found = [artist for artist in axes.get_children() if isinstance(artist, Rectangle) and artist.get_gid()]
    return sorted(found, key=lambda cell: (cell.get_y(), cell.get_x()))


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>" and axes.axison]


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_draws_its_frame_and_its_gap(name: str, full: Results) -> None:
    exhibit = FIGURES[name]
    frame = exhibit.data(full)
    assert len(frame) and exhibit.section in SECTIONS and exhibit.caption and exhibit.paper
    figure = exhibit(frame)
    assert isinstance(figure, Figure)
    assert 2 <= figure.get_figwidth() <= 12  # inches
    gap = exhibit(frame.iloc[:0])
    assert [text.get_text() for text in gap.axes[0].texts] == ["not run"]


@pytest.mark.parametrize("name", CURVES)
def test_curves_are_the_rows(name: str, full: Results) -> None:
    x, y, scale = CURVES[name]
    frame = FIGURES[name].data(full)
    drawn = {
        (round(float(line.get_xdata()[0]), 6), round(float(line.get_ydata()[0]), 6))
        for axes in panels(FIGURES[name](frame))
        for line in axes.lines
        if str(line.get_gid()).startswith("mark|")
    }
    factor = 100 if y == "module_sparsity" else 1
    rows = zip(scale * frame[x].astype(float), factor * frame[y].astype(float), strict=True)
    assert drawn == {(round(a, 6), round(b, 6)) for a, b in rows}


def test_linear_probes_show_the_z_scores_of_the_best_layers(full: Results) -> None:
    frame = FIGURES["fig_1_linear_probes"].data(full)
    axes = panels(FIGURES["fig_1_linear_probes"](frame))[0]
    tasks = summaries.task_order(list(frame["task"]))
    expected = frame.pivot(index="level", columns="task", values="z")[tasks].to_numpy()
    bound = np.abs(expected).max()
    colors = [cell.get_facecolor() for cell in cells(axes)]
    assert len(colors) == expected.size == 9 * 18
    for color, z in zip(colors, expected.ravel(), strict=True):
        assert color == pytest.approx(colormaps[DIVERGING]((z + bound) / (2 * bound)), abs=1e-9)
    # the frame itself, against the raw table
    probes = full["probes"]
    rows = probes[(probes["task"] == "coref") & (probes["probe"] == "linear") & (probes["metric"] == "accuracy")]
    best = rows[rows["layer"] != "0"].groupby("level")["score"].max()
    shown = frame[frame["task"] == "coref"].set_index("level")
    assert shown["score"].tolist() == pytest.approx(best.tolist())
    assert shown["z"].tolist() == pytest.approx(((best - best.mean()) / best.std(ddof=0)).tolist())


@pytest.mark.parametrize("name", ["fig_5_encoder_layers", "fig_a6_decoder_layers", "fig_6_encoder_attention"])
def test_layer_maps_show_every_pair_in_its_place(name: str, full: Results) -> None:
    frame = FIGURES[name].data(full)
    figure = FIGURES[name](frame)
    for axes, (a, b) in zip(panels(figure), [(0, 0), (8, 8), (0, 8)], strict=True):
        for cell in cells(axes):
            row, column = 6 - int(cell.get_y()), 1 + int(cell.get_x())  # highest layer on top
            wanted = frame.query("level_a == @a and level_b == @b and layer_a == @i and layer_b == @j",
                                 local_dict={"a": a, "b": b, "i": str(row), "j": str(column)})  # fmt: skip
            value = float(wanted["score"].iloc[0])
            assert cell.get_facecolor() == pytest.approx(colormaps[SEQUENTIAL](value), abs=1e-9)
            assert f"{value:.3f}" in cell.get_gid()


@pytest.mark.parametrize("name", TABLES)
def test_drawn_tables_are_the_shown_ones(name: str, full: Results) -> None:
    exhibit = FIGURES[name]
    frame = exhibit.data(full)
    assert exhibit.show is not None
    shown = exhibit.show(frame)
    texts = sorted(text.get_text().replace("\n", " ") for text in exhibit(frame).axes[0].texts)
    assert texts == sorted([*shown.columns, *(str(cell) for row in shown.to_numpy() for cell in row)])


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


def test_spectra_and_groups_are_the_rows(full: Results) -> None:
    frame = FIGURES["fig_a7_spectrum"].data(full)
    axes = panels(FIGURES["fig_a7_spectrum"](frame))[0]
    line = next(line for line in axes.lines if line.get_label() == "LTH8")
    rows = frame[(frame["component"] == "encoder") & (frame["level"] == 8)]
    assert line.get_ydata() == pytest.approx(100 * rows["cumulative_variance"].to_numpy())
    groups = FIGURES["fig_groups"].data(full)
    drawn = [float(line.get_xdata()[0]) for axes in panels(FIGURES["fig_groups"](groups)) for line in axes.lines]
    assert drawn == pytest.approx(groups["score"].tolist())
    assert groups[groups["kind"] == "frequency"]["group"].tolist() == ["0-5", "100-500", "2500-"]


def test_the_distribution_counts_every_neuron_once(full: Results) -> None:
    frame = FIGURES["fig_a4_neuron_distribution"].data(full)
    sums = frame.groupby(["component", "layer", "level"])["share"].sum()
    assert sums.tolist() == pytest.approx([1.0] * len(sums))
    assert set(frame["n"]) == {24}


def test_seeds_are_averaged_and_never_mixed_with_side_metrics(full: Results) -> None:
    probes = full["probes"]
    twice = pd.concat([probes, probes.assign(seed=2, score=probes["score"] + 0.02)], ignore_index=True)
    results = Results(full.name, full.experiment, {**full.tables, "probes": twice}, {})
    one, two = summaries.probe_scores(full, "linear"), summaries.probe_scores(results, "linear")
    assert (two["score"] - one["score"]).to_numpy() == pytest.approx(0.01)
    assert set(two["seeds"]) == {2} and not set(two["metric"]) & set(summaries.SIDE_METRICS)


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


@pytest.mark.parametrize("name", FIGURES)
def test_no_two_labels_overlap(name: str, full: Results) -> None:
    figure = FIGURES[name](FIGURES[name].data(full))
    with style():
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
