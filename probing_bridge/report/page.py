"""The page: every figure, table and claim of the paper from one results folder, in one self-contained HTML file.

Writes `index.html`, `claims.{csv,md}` and `figures/<name>.{svg,pdf,png,csv}` (of tables also `.md`). The same tables
give the same bytes: no dates, fixed ids.
Place in the flow: result tables -> results -> figures, claims -> report.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup
from matplotlib.figure import Figure

from probing_bridge import __version__
from probing_bridge.claims import CLAIMS, Claim, Judgement, claims_table, judge_all
from probing_bridge.errors import InputError
from probing_bridge.figures import FIGURES, SECTIONS
from probing_bridge.figures.exhibit import Exhibit
from probing_bridge.figures.style import THEME, drawn, level_labels, style
from probing_bridge.figures.svg import inline_svg, to_bytes, to_svg
from probing_bridge.formats.files import written_beside
from probing_bridge.machine import cores
from probing_bridge.report.anchors import Part, places_of, with_ids
from probing_bridge.report.comparison import Comparison, exhibits
from probing_bridge.report.layer_maps import LayerMap, maps_by_level
from probing_bridge.report.markdown import to_markdown
from probing_bridge.report.texts import (
    different,
    effects_of_probes,
    headline,
    missing_tasks,
    provenance,
    title,
    what_was_run,
)
from probing_bridge.report.verdicts import plots, summary
from probing_bridge.results.folder import Results, Run
from probing_bridge.results.levels import known_levels
from probing_bridge.results.naming import layer_order, model_layers
from probing_bridge.results.statistics import VERDICTS

_NAMES_TASKS = ("fig_1_linear_probes", "fig_2_mlp_probes")  # say which of the paper's tasks were not run


@dataclass(frozen=True)
class Drawn:
    """One figure or table as the page needs it: its texts, its SVG or its rows."""

    name: str
    paper: str
    title: str
    caption: str
    wide: bool
    ready: bool
    svg: Markup
    alt: str
    tables: Sequence[Part]
    provenance: str
    needs: str
    note: str = ""
    maps: Mapping[int, list[LayerMap]] = field(default_factory=dict)


FORMS = ("svg", "pdf", "png")  # of a picture; the page shows the first


def build(
    results: Results, output: str | Path, comparison: Comparison | None = None, forms: Sequence[str] = FORMS
) -> Path:
    """Writes the page and its figures.

    Args:
        results: The tables of one experiment.
        output: Folder of the page; made if need be. Files of an earlier report are replaced.
        comparison: Two experiments side by side, shown in a section of its own.
        forms: Files of each picture; a page without PDF and PNG takes half the time.

    Returns:
        The page.

    Raises:
        InputError: The folder cannot be written.
    """
    output = Path(output)
    try:
        (output / "figures").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write the report there ({error.strerror})", output) from error
    exhibits = {name: (exhibit, exhibit.data(results)) for name, exhibit in FIGURES.items()}
    filled = {name: frame for name, (_, frame) in exhibits.items() if len(frame)}
    pictures = _draw_all(filled, output / "figures", forms)
    for name, (_, frame) in exhibits.items():
        if not len(frame):
            _remove_old(output / "figures", name)
    sprite: dict[str, str] = {}
    shown = {
        name: _describe(name, exhibit, frame, results, pictures.get(name, ""), sprite)
        for name, (exhibit, frame) in exhibits.items()
    }
    for old in (output / "figures").glob("compare_*"):
        old.unlink()
    compared = draw_compared(comparison, output / "figures", sprite, forms) if comparison else []
    judged = judged_claims(results, output)
    page = _render(results, shown, judged, comparison, compared, sprite, forms)
    _write(output / "index.html", page.encode())
    return output / "index.html"


def judged_claims(results: Results, output: Path) -> list[tuple[Claim, Judgement]]:
    """Judges every claim, writes claims.csv and claims.md into a folder, and returns claims and judgements."""
    judgements = judge_all(results, CLAIMS)
    claims = claims_table(judgements)
    _write(output / "claims.csv", claims.to_csv(index=False).encode())
    _write(output / "claims.md", to_markdown(claims[["section", "claim", "paper", "ours", "verdict"]], 5).encode())
    return judgements


def _draw_all(frames: dict[str, pd.DataFrame], folder: Path, forms: Sequence[str]) -> dict[str, str]:
    """Draws every frame and writes its files, on all cores; name -> SVG."""
    workers = min(4, cores())
    if workers == 1 or len(frames) < 6:
        return {name: draw_files(name, frame, folder, forms) for name, frame in frames.items()}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        pending = {name: pool.submit(draw_files, name, frame, folder, forms) for name, frame in frames.items()}
        return {name: future.result() for name, future in pending.items()}


def draw_files(name: str, frame: pd.DataFrame, folder: Path, forms: Sequence[str] = FORMS) -> str:
    """Draws one entry of FIGURES and writes <name>.svg, .pdf, .png and .csv; a table .md, too.

    Args:
        name: A key of FIGURES.
        frame: What it draws.
        folder: Where.
        forms: Which of svg, pdf and png.

    Returns:
        The SVG; empty if that is none of the forms.
    """
    show = FIGURES[name].show
    table = to_markdown(show(frame)) if show else None
    return _write_figure(folder / name, partial(FIGURES[name], frame), frame, table, forms)


def _write_figure(
    stem: Path, draw: Callable[[], Figure], frame: pd.DataFrame, table: str | None, forms: Sequence[str]
) -> str:
    """Writes the files of a figure, those of a table with its Markdown; returns the SVG."""
    figure = draw() if forms else Figure()
    with style():
        files = {form: to_svg(figure).encode() if form == "svg" else to_bytes(figure, form) for form in forms}
    files["csv"] = frame.to_csv(index=False).encode()
    if table is not None:
        files["md"] = table.encode()
    for form, content in files.items():
        _write(stem.with_name(f"{stem.name}.{form}"), content)
    return files.get("svg", b"").decode()


def _write(path: Path, content: bytes) -> None:
    with written_beside(path) as beside:
        beside.write_bytes(content)


def _remove_old(folder: Path, name: str) -> None:
    """Removes a figure of an earlier report whose results are no longer there."""
    for form in ("svg", "png", "pdf", "csv", "md"):
        (folder / f"{name}.{form}").unlink(missing_ok=True)


def _describe(
    name: str, exhibit: Exhibit, frame: pd.DataFrame, results: Results, svg: str, sprite: dict[str, str]
) -> Drawn:
    """Everything the page says about one figure or table."""
    rows = exhibit.rows(results) if len(frame) else pd.DataFrame()
    tables = with_ids(name, parts_of(exhibit.show(frame))) if exhibit.show and len(frame) else []
    caption = exhibit.describe(frame)
    return Drawn(
        name=name,
        paper=exhibit.paper,
        title=exhibit.title,
        caption=caption,
        wide=exhibit.wide,
        ready=bool(len(frame)),
        svg=Markup(inline_svg(svg, name, sprite)) if svg and not tables else Markup(""),
        alt=f"{exhibit.paper}: {exhibit.title}. {caption} The values are in figures/{name}.csv.",
        tables=tables,
        provenance=provenance(rows, exhibit.command),
        needs=f"needs {exhibit.source}.csv"
        + "".join(f", {column} {' or '.join(values)}" for column, values in exhibit.where.items() if any(values)),
        note=missing_tasks(frame) if name in _NAMES_TASKS and len(frame) else "",
        maps=maps_by_level(exhibit, results) if exhibit.by_level and len(frame) else {},
    )


def parts_of(table: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """A table as it stands on the page: one whose first column is the component is a table for each, side by side.

    Their columns are named `1`, not `layer 1`, so that two of them fit beside each other.
    """
    if table.columns[0] != "component":
        return [("", table)]
    short = table.rename(columns=lambda name: str(name).removeprefix("layer ").removesuffix(" layers"))
    return [(f"{name}, by layer", part.iloc[:, 1:]) for name, part in short.groupby("component", sort=False)]


def draw_compared(comparison: Comparison, folder: Path, sprite: dict[str, str], forms: Sequence[str]) -> list[Drawn]:
    """The figures and tables of a comparison."""
    shown = []
    for exhibit, frame in exhibits(comparison):
        name = f"compare_{exhibit.name}"
        table = exhibit.show(frame) if exhibit.show else None
        markdown = None if table is None else to_markdown(table, 3)
        svg = _write_figure(folder / name, partial(drawn, exhibit.draw, frame), frame, markdown, forms)
        tables = [] if table is None else with_ids(name, parts_of(table))
        picture = Markup(inline_svg(svg, name, sprite)) if svg and not tables else Markup("")
        alt = f"{exhibit.title}. {exhibit.caption} The values are in figures/{name}.csv."
        shown.append(
            Drawn(name, exhibit.paper, exhibit.title, exhibit.caption, True, True, picture, alt, tables, "", "")
        )
    return shown


def _render(
    results: Results,
    shown: dict[str, Drawn],
    judged: Sequence[tuple[Claim, Judgement]],
    comparison: Comparison | None,
    compared: list[Drawn],
    sprite: dict[str, str],
    forms: Sequence[str],
) -> str:
    """The page's text."""
    loader = PackageLoader("probing_bridge.report", "")
    environment = Environment(loader=loader, autoescape=select_autoescape(default=True), trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    source = {name: loader.get_source(environment, name)[0] for name in ("report.css", "report.js")}
    sections = {
        key: (title, [shown[name] for name, exhibit in FIGURES.items() if exhibit.section == key])
        for key, title in SECTIONS.items()
    }
    layers = layer_order(list(model_layers(results["similarity"], "layer_a")["layer_a"]))
    counts = {verdict: sum(j.verdict == verdict for _, j in judged) for verdict in VERDICTS}
    return environment.get_template("report.html.j2").render(
        name=title(results),
        runs=len(results.runs),
        made_from=_made_from(results),
        forms=(*forms, "csv"),
        version=__version__,
        css=Markup(source["report.css"]),
        js=Markup(source["report.js"]),
        light="".join(f"--{name}:{color};" for color, (name, _) in THEME.items()),
        dark="".join(f"--{name}:{color};" for name, color in THEME.values()),
        sprite=sorted(sprite.items()),
        headline=headline(results),
        what=what_was_run(results),
        effects_of_probes=effects_of_probes(results),
        sections=sections,
        levels={level: label.replace("\n", ", ") for level, label in level_labels(known_levels(results)).items()},
        layers=layers,
        judged=judged,
        plots=plots(judged, _places(shown)),
        summary=summary(results, judged),
        counts=counts,
        comparison=comparison,
        compared=compared,
        versions=different(results, "package_version"),
        commands=different(results, "command"),
        checkpoints=different(results, "hash_a", "hash_b", "reps_hash"),
        sentences=different(results, "sentence_hash"),
    )


def _places(shown: Mapping[str, Drawn]) -> dict[str, dict[str, str]]:
    """The rows of every figure and table of the page; of a picture those of its tables."""
    rows = {name: places_of(item.tables) for name, item in shown.items() if item.ready}
    return {
        name: next((rows[table] for table in FIGURES[name].tables if table in rows), own) for name, own in rows.items()
    }


def _made_from(results: Results) -> list[tuple[str, tuple[Run, ...]]]:
    """The runs of every experiment on the page, under what it is here."""
    beside = [("Baseline", one.runs) for one in results.baselines] + [("Control", one.runs) for one in results.controls]
    return [("Experiment", results.runs), *beside]
