"""Tables of the paper: A1, A2, A3, the calls of Section 4.2, own-index shares, off-diagonal means, concentration.

Each has a tidy frame (its CSV), a `show_` function that lays it out as text for the page, and is drawn as a figure by
`draw_table`, so that it can go into a manuscript as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from probing_bridge.figures.style import GRID, INK, WIDE, empty, new_figure, number, percent
from probing_bridge.results.naming import (
    COMPONENTS,
    layer_label,
    layer_order,
    metric_label,
    rows_of,
    task_category,
    task_label,
    task_order,
)
from probing_bridge.results.paper import PAPER_KINDS
from probing_bridge.results.probing import FIRST_EPOCHS
from probing_bridge.results.runs import mean_of_runs

_OF_LEVELS = {
    "sparsity_prunable": "non-embedding sparsity",
    "sparsity": "overall sparsity",
    "lr_rise": "rise of the learning rate",
}


def show_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Table A1: a row a level, a column a test set, metric and experiment; sparsities apart where they differ."""
    experiments = {
        str(name): part.groupby("level")[list(_OF_LEVELS)].mean()
        for name, part in frame.groupby("experiment", sort=False)
    }
    levels = sorted(frame["level"].unique())
    table = pd.DataFrame({"level": [f"LTH{level}" for level in levels]}, index=levels)
    for name, rows in experiments.items():
        for column, title in _OF_LEVELS.items():
            if column == "lr_rise" and rows[column].isna().all():
                continue
            cells = [percent(value) for value in rows[column].reindex(levels)]
            if title not in table:
                table[title] = cells
            elif any(cell not in ("–", first) for cell, first in zip(cells, table[title], strict=True)):
                table[f"{title}, {name}"] = cells
    for (test_set, metric), part in frame.dropna(subset=["score"]).groupby(["test_set", "metric"], sort=False):
        for experiment, line in part.groupby("experiment", sort=False):
            which = [str(experiment)] if len(experiments) > 1 else []
            parts = [metric_label(str(metric)), str(test_set), *which]
            means = mean_of_runs(line, ["level"])
            scores = {row.level: number(row.score, row.low, row.high, 2) for row in rows_of(means)}
            table[", ".join(parts)] = [scores.get(level, "not run") for level in levels]
    return table.reset_index(drop=True)


def _mean_ratios(rows: pd.DataFrame) -> pd.DataFrame:
    """Ratios of several runs as their mean with its interval over runs."""
    means = mean_of_runs(rows.drop(columns=["low", "high"]), ["level"], "ratio")
    return means.assign(ratio_low=means["low"], ratio_high=means["high"])


def show_differences(frame: pd.DataFrame) -> pd.DataFrame:
    """Paired tests of BLEU: one row a level, two columns a test set, metric, experiment and what it is compared with.

    Of several runs there is their mean and its interval over runs; p is of a single run's sentences.
    """
    levels = sorted(frame["level"].unique())
    table = pd.DataFrame({"level": [f"LTH{level}" for level in levels]})
    several, runs = frame["experiment"].nunique() > 1, frame["run"].nunique() > 1
    columns = ["test_set", "metric", "experiment", "other"]
    for (test_set, metric, name, other), part in frame.groupby(columns, sort=False):
        rows = {row.level: row for row in rows_of(mean_of_runs(part, ["level"], "difference"))}
        about = f"{metric_label(str(metric))}, {test_set}, {f'{name} ' if several else ''}"
        less = {
            level: _with_ends("{:+.2f}", row.difference, row.low, row.high)
            + ("" if runs else f" ({_p_cell(row.p_holm)})")
            for level, row in rows.items()
        }
        ratios = rows if not runs else {row.level: row for row in rows_of(_mean_ratios(part))}
        shares = {
            level: _with_ends("{:.1f}", 100 * row.ratio, 100 * row.ratio_low, 100 * row.ratio_high)
            for level, row in ratios.items()
            if pd.notna(row.ratio)
        }
        table[f"{about}less {other}"] = [less.get(level, "–").replace("-", "−") for level in levels]
        if shares:
            table[f"{about}share of {other} (%)"] = [shares.get(level, "–") for level in levels]
    return table


def _with_ends(form: str, value: float, low: float, high: float) -> str:
    """A number with its interval, where there is one."""
    interval = "" if pd.isna(low) or pd.isna(high) else f" [{form.format(low)}, {form.format(high)}]"
    return form.format(value) + interval


def _p_cell(p: float) -> str:
    """P as a cell says it."""
    return f"p {p_text(p)}" if p < 0.001 else f"p = {p:.3f}"


UNINFORMATIVE, BELOW_WORDS, UNTRAINED = "†", "*", "‡"  # marks of a task, and of its scores


def show_scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Tables A2, A3: one row a task, one column a level; its layer before, its gain and per-word majority after."""
    if frame["run"].nunique() > 1:
        place = ["task", "level"]
        gain = mean_of_runs(frame.drop(columns=["low", "high"]), place, "gain")
        earliest = frame.groupby(place, sort=False)["best_epoch"].min().to_numpy()  # of any run
        frame = mean_of_runs(frame, place).assign(gain=gain["gain"], gain_low=gain["low"], gain_high=gain["high"])
        frame = frame.assign(best_epoch=earliest, below_words=frame["score"] < frame["word_majority"])
    levels = sorted(frame["level"].unique())
    rows = []
    for task in task_order(list(frame["task"])):
        part = frame[frame["task"] == task].set_index("level")
        first = part.iloc[0]
        name = task_label(task) + ("" if first["informative"] else f" {UNINFORMATIVE}")
        row = {"task": name, "category": task_category(task), "metric": first["metric"], "layer": first["layer"]}
        row |= {f"LTH{k}": _marked(part.loc[k]) if k in part.index else "not run" for k in levels}
        half = float((part["high"] - part["low"]).mean()) / 2
        row["± (95 %)"] = number(half)
        for level in dict.fromkeys((levels[0], levels[-1])):
            row[f"gain, LTH{level}"] = _gain(part.loc[level]) if level in part.index else "not run"
        row["per-word majority"] = number(first["word_majority"])
        row["items"] = str(int(part["n"].max())) if part["n"].notna().any() else "–"
        rows.append(row)
    return pd.DataFrame(rows)


def _marked(row: pd.Series) -> str:
    """A score with its marks."""
    untrained = pd.notna(row["best_epoch"]) and row["best_epoch"] <= FIRST_EPOCHS
    return number(row["score"]) + BELOW_WORDS * bool(row["below_words"]) + UNTRAINED * bool(untrained)


def _gain(row: pd.Series) -> str:
    """Score less that of layer 0, with its interval."""
    if pd.isna(row["gain"]):
        return "–"
    interval = "" if pd.isna(row["gain_low"]) else f" [{row['gain_low']:.3f}, {row['gain_high']:.3f}]"
    return f"{row['gain']:+.3f}{interval}".replace("-", "−")


def show_controls(frame: pd.DataFrame) -> pd.DataFrame:
    """Linear probes beside the controls: one row a task, one column a control."""
    rows: dict[str, dict[str, str]] = {}
    for (experiment, level), part in frame.groupby(["experiment", "level"], sort=False):
        scores = rows_of(mean_of_runs(part.drop(columns=["low", "high"]), ["task"]))
        differences = rows_of(mean_of_runs(part, ["task"], "difference"))
        for row, less in zip(scores, differences, strict=True):
            mark = "" if row.informative else f" {UNINFORMATIVE}"
            cells = rows.setdefault(row.task, {"task": task_label(row.task) + mark, "layer": row.layer})
            cells[f"LTH{level}"] = number(row.score)
            change = _with_ends("{:+.3f}", less.difference, less.low, less.high)
            cells[f"LTH{level} less {experiment}"] = change.replace("-", "−")
    return pd.DataFrame([rows[task] for task in task_order(list(rows))]).fillna("not run")


def show_best(frame: pd.DataFrame) -> pd.DataFrame:
    """The paper's Tables A2, A3: one row a task, one column a level, each score with the layer it was picked for."""
    levels = sorted(frame["level"].unique())
    rows = []
    for task in task_order(list(frame["task"])):
        part = frame[frame["task"] == task].set_index("level")
        cells = {level: f"{number(row['score'])} ({row['layer']})" for level, row in part.iterrows()}
        row = {"task": task_label(task), "metric": part["metric"].iloc[0]}
        rows.append(row | {f"LTH{level}": cells.get(level, "not run") for level in levels})
    return pd.DataFrame(rows)


def show_trends(frame: pd.DataFrame) -> pd.DataFrame:
    """The calls of Section 4.2 beside the paper's."""
    return pd.DataFrame(
        {
            "task": [task_label(task) for task in frame["task"]],
            "layer": list(frame["layer"]),
            "LTH0": [number(value) for value in frame["first"]],
            "sparsest": [number(value) for value in frame["last"]],
            "change, points": [_change(*row) for row in zip(frame["change"], frame["low"], frame["high"], strict=True)],
            "p (Holm)": [p_text(p) for p in frame["p"]],
            "here": list(frame["kind"]),
            "paper": [PAPER_KINDS.get(task, "not said") for task in frame["task"]],
        }
    )


def _change(change: float, low: float, high: float) -> str:
    """A change with its interval, in points."""
    if pd.isna(change):
        return "–"
    return f"{change:+.1f} [{low:+.1f}, {high:+.1f}]".replace("-", "−")


def p_text(p: float) -> str:
    """A p-value as text."""
    if pd.isna(p):
        return "–"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def show_own_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Own-index shares: one row a component and level, one column a layer."""
    return _by_layer(frame, "share", lambda value: percent(value))


def show_off_diagonal(frame: pd.DataFrame) -> pd.DataFrame:
    """Off-diagonal means: one row a kind of attention and level; `layer i` is that layer with all others."""
    form = partial(number, digits=2)
    table = _by_layer(frame, "score", form)
    if frame["baseline"].notna().any():
        table["at random"] = _by_layer(frame, "baseline", form)["all layers"]
    return table


def show_concentration(frame: pd.DataFrame) -> pd.DataFrame:
    """Concentration: one row a kind of attention and level, one column a layer."""
    return _by_layer(frame, "score", lambda value: percent(value))


def _by_layer(frame: pd.DataFrame, column: str, form: Callable[[float], str]) -> pd.DataFrame:
    """One row a component and level, one column a layer, `all` last."""
    frame = mean_of_runs(
        frame, ["component", "layer", "level", *(["threshold"] if "threshold" in frame else [])], column
    )
    layers = [layer for layer in layer_order(list(frame["layer"])) if layer != "all"]
    rows = []
    for component in [name for name in COMPONENTS if name in set(frame["component"])]:
        part = frame[frame["component"] == component]
        for level in sorted(part["level"].unique()):
            cells = part[part["level"] == level].drop_duplicates("layer").set_index("layer")[column]
            row = {"component": COMPONENTS[component], "level": f"LTH{level}"}
            row |= {layer_label(layer): form(cells[layer]) if layer in cells else "not run" for layer in layers}
            rows.append({**row, "all layers": form(cells["all"]) if "all" in cells else "not run"})
    return pd.DataFrame(rows)


def show_exams(frame: pd.DataFrame) -> pd.DataFrame:
    """Marks of the measures: one row a measure and variant, one column an exam."""
    exams = [column for column in frame.columns if column not in ("measure", "variant")]
    return frame.assign(**{exam: [number(mark, digits=2) for mark in frame[exam]] for exam in exams})


def draw_table(table: pd.DataFrame) -> Figure:
    """A table of texts as a figure: rules above, below the head and at the end, first column flush left.

    Args:
        table: What a `show_` function returns.

    Returns:
        The figure; its texts are the head and the cells, row by row.
    """
    if not len(table):
        return empty(width=WIDE)
    texts = [[str(name) for name in table.columns], *[[str(cell) for cell in row] for row in table.to_numpy()]]
    heads = [_broken(name) for name in texts[0]]
    sizes = [
        max(max(len(part) for part in head.split("\n")), *(len(row[j]) for row in texts[1:])) + 2.5
        for j, head in enumerate(heads)
    ]
    lines = max(head.count("\n") for head in heads) + 1
    total, height = sum(sizes), 0.17 * len(table) + 0.13 * lines + 0.2
    figure = new_figure(max(2.5, total * 0.062), height)
    figure.set_layout_engine("none")
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set(xlim=(0, total), ylim=(0, height))
    top = height - 0.06
    under = top - 0.13 * lines - 0.04
    left = 0.0
    for j, size in enumerate(sizes):
        text_at, align = (left + 0.6, "left") if j == 0 else (left + size - 0.6, "right")
        axes.text(text_at, under + 0.05, heads[j], ha=align, va="bottom", fontweight="bold", fontsize=6.5, color=INK)
        for i, row in enumerate(texts[1:]):
            axes.text(text_at, under - 0.17 * (i + 0.55), row[j], ha=align, va="center", fontsize=7, color=INK)
        left += size
    for y, width in ((top, 0.9), (under, 0.5), (under - 0.17 * len(table) - 0.03, 0.9)):
        axes.axhline(y, color=INK, linewidth=width)
    for i in range(5, len(table), 5):
        axes.axhline(under - 0.17 * i, color=GRID, linewidth=0.4)
    return figure


def _broken(name: str) -> str:
    """A column's head in two lines if it is long."""
    if len(name) < 14 or " " not in name:
        return name
    spaces = [i for i, letter in enumerate(name) if letter == " "]
    middle = min(spaces, key=lambda i: abs(i - len(name) / 2))
    return name[:middle] + "\n" + name[middle + 1 :]
