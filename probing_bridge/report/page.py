"""The page: every figure, table and claim of the paper from one results folder, in one self-contained HTML file.

Writes `index.html`, `claims.{csv,md}` and `figures/<name>.{svg,pdf,png,csv}` (of tables also `.md`). The same tables
give the same bytes: no dates, fixed ids.
Place in the flow: result tables -> results -> figures, claims -> report.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
from jinja2 import Environment, PackageLoader, select_autoescape
from markupsafe import Markup

from probing_bridge import __version__
from probing_bridge.claims import CLAIMS, Claim, claims_table, judge
from probing_bridge.claims.judging import FAILS, HOLDS, UNDECIDED, VERDICTS, Judgement
from probing_bridge.errors import InputError
from probing_bridge.figures import FIGURES, SECTIONS, Exhibit, style
from probing_bridge.figures.style import THEME, level_labels, number, percent, settle, to_bytes, to_svg
from probing_bridge.formats.files import written_beside
from probing_bridge.report.comparison import Comparison, exhibits
from probing_bridge.report.layer_maps import LayerMap, maps_by_level
from probing_bridge.report.markdown import to_markdown
from probing_bridge.results.folder import Results
from probing_bridge.results.levels import known_levels, run_name, with_sparsity
from probing_bridge.results.naming import NORM, TASK_NAMES, layer_order, model_layers, task_label

_NAMES_TASKS = ("fig_1_linear_probes", "fig_2_mlp_probes")  # say which of the paper's tasks were not run
_LONG_COMMAND = 400  # characters; a longer one is cut on the page, whole in the CSV files


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
    table: pd.DataFrame | None
    provenance: str
    needs: str
    note: str = ""
    maps: Mapping[int, list[LayerMap]] = field(default_factory=dict)


def build(results: Results, output: str | Path, comparison: Comparison | None = None) -> Path:
    """Writes the page and its figures.

    Args:
        results: The tables of one experiment.
        output: Folder of the page; made if need be. Files of an earlier report are replaced.
        comparison: Two experiments side by side, shown in a section of its own.

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
    pictures = _draw_all({name: frame for name, (_, frame) in exhibits.items() if len(frame)}, output / "figures")
    for name, (_, frame) in exhibits.items():
        if not len(frame):
            _remove_old(output / "figures", name)
    sprite: dict[str, str] = {}
    drawn = {
        name: _describe(name, exhibit, frame, results, pictures.get(name, ""), sprite)
        for name, (exhibit, frame) in exhibits.items()
    }
    for old in (output / "figures").glob("compare_*"):
        old.unlink()
    compared = _compared(comparison, output / "figures", sprite) if comparison else []
    judgements = [(claim, judge(claim, results)) for claim in CLAIMS]
    claims = claims_table(judgements)
    _write(output / "claims.csv", claims.to_csv(index=False).encode())
    _write(output / "claims.md", to_markdown(claims[["section", "claim", "paper", "ours", "verdict"]], 5).encode())
    page = _render(results, drawn, judgements, comparison, compared, sprite)
    _write(output / "index.html", page.encode())
    return output / "index.html"


def _draw_all(frames: dict[str, pd.DataFrame], folder: Path) -> dict[str, str]:
    """Draws every frame and writes its four files, on all cores; name -> SVG."""
    workers = max(1, min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1))
    if workers == 1 or len(frames) < 6:
        return {name: draw_files(name, frame, folder) for name, frame in frames.items()}
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        pending = {name: pool.submit(draw_files, name, frame, folder) for name, frame in frames.items()}
        return {name: future.result() for name, future in pending.items()}


def draw_files(name: str, frame: pd.DataFrame, folder: Path) -> str:
    """Draws one entry of FIGURES and writes <name>.svg, .pdf, .png and .csv; a table .md, too.

    Args:
        name: A key of FIGURES.
        frame: What it draws.
        folder: Where.

    Returns:
        The SVG.
    """
    figure = FIGURES[name](frame)
    with style():
        svg = to_svg(figure)
        files = {"svg": svg.encode(), "png": to_bytes(figure, "png"), "pdf": to_bytes(figure, "pdf")}
    files["csv"] = frame.to_csv(index=False).encode()
    show = FIGURES[name].show
    if show is not None:
        files["md"] = to_markdown(show(frame)).encode()
    for form, content in files.items():
        _write(folder / f"{name}.{form}", content)
    return svg


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
    table = exhibit.show(frame) if exhibit.show and len(frame) else None
    caption = exhibit.describe(frame)
    return Drawn(
        name=name,
        paper=exhibit.paper,
        title=exhibit.title,
        caption=caption,
        wide=exhibit.wide,
        ready=bool(len(frame)),
        svg=Markup(inline_svg(svg, name, sprite)) if svg and table is None else Markup(""),
        alt=f"{exhibit.paper}: {exhibit.title}. {caption} The values are in figures/{name}.csv.",
        table=table,
        provenance=provenance(rows, exhibit.command),
        needs=f"needs {exhibit.source}.csv"
        + "".join(f", {column} {' or '.join(values)}" for column, values in exhibit.where.items() if any(values)),
        note=_missing_tasks(frame) if name in _NAMES_TASKS and len(frame) else "",
        maps=maps_by_level(exhibit, results) if exhibit.by_level and len(frame) else {},
    )


def _missing_tasks(frame: pd.DataFrame) -> str:
    """The tasks of the paper that have no row."""
    missing = [task_label(task) for task in TASK_NAMES if task not in set(frame["task"])]
    return f"Not run: {', '.join(missing)}." if missing else ""


def provenance(rows: pd.DataFrame, command: str) -> str:
    """Sample sizes, seeds and command behind a figure, as one line.

    Args:
        rows: The rows of the result table it is made of.
        command: The command that makes such rows, for tables that do not record it.

    Returns:
        e.g. `n = 120,000 tokens; seeds 1, 2; made by: python -m ...`; empty without rows.
    """
    parts = []
    if "n" in rows.columns and rows["n"].notna().any():
        low, high = int(rows["n"].min()), int(rows["n"].max())
        what = "items" if "task" in rows.columns else "sentences" if "test_set" in rows.columns else "rows of data"
        what = "tokens or pairs of positions" if "sentence_hash" in rows.columns else what
        parts.append(f"n = {low:,}" + (f" to {high:,}" if high > low else "") + f" {what}")
    if "seed" in rows.columns:
        seeds = sorted({int(seed) for seed in rows["seed"].dropna()})
        parts.append(f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}")
    commands = [text for text in rows["command"].unique() if text] if "command" in rows.columns else []
    if commands and len(commands[0]) <= _LONG_COMMAND:
        command = commands[0] + (f" (and {len(commands) - 1} more)" if len(commands) > 1 else "")
    elif command.startswith(("probe", "similarity")):
        command = f"python -m probing_bridge.run {command}"
    return "; ".join([*parts, f"made by: {command}"])


_GLYPH = re.compile(r'<path id="([A-Za-z]+(?:-[A-Za-z]+)*-[0-9a-f]+)"(?: d="([^"]*)")?[^>]*/>')


def inline_svg(svg: str, name: str, sprite: dict[str, str]) -> str:
    """Makes a figure's SVG part of the page: colours that follow the page, letters shared by all figures.

    Args:
        svg: What to_svg returned.
        name: Stem that keeps its other ids apart from those of other figures.
        sprite: Glyph id -> outline, filled here; the page defines each once.

    Returns:
        The `<svg>` element.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.S)
    glyphs = _GLYPH.findall(body)
    sprite.update({glyph: outline for glyph, outline in glyphs if _is_glyph(glyph)})
    body = _GLYPH.sub(lambda match: "" if _is_glyph(match[1]) else match[0], body)
    body = re.sub(r"<defs>\s*</defs>", "", body)
    body = re.sub(r' id="(?!m[0-9a-f]{10}"|p[0-9a-f]{10}"|h[0-9a-f]{10}"|C[0-9a-f]+_)[^"]*"', "", body)
    body = re.sub(r'(id="|href="#|url\(#)((?:[mph][0-9a-f]{10}|C[0-9a-f]+_))', rf"\1{name}-\2", body)
    body = body.replace("xlink:href", "href")
    body = re.sub(r' xmlns(:xlink)?="[^"]*"', "", body)
    for color, (variable, _) in THEME.items():
        body = body.replace(color, f"var(--{variable})")
    body = re.sub(r"\s*\n\s*", "\n", body)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.S)
    box = re.search(r'viewBox="([^"]*)"', body)
    assert box is not None, "Matplotlib writes a viewBox"
    width = float(box[1].split()[2])
    opening = f'<svg viewBox="{box[1]}" style="--width:{width:.0f}" aria-hidden="true" focusable="false">'
    return re.sub(r"<svg[^>]*>", opening, body, count=1)


def _is_glyph(name: str) -> bool:
    """Whether an id is that of a letter's outline."""
    return name.startswith(("DejaVu", "STIX", "Cmr"))


def _compared(comparison: Comparison, folder: Path, sprite: dict[str, str]) -> list[Drawn]:
    """The figures and tables of a comparison."""
    shown = []
    for exhibit, frame in exhibits(comparison):
        name = f"compare_{exhibit.name}"
        with style():
            figure = exhibit.draw(frame)
            settle(figure)
            svg = to_svg(figure)
            _write(folder / f"{name}.svg", svg.encode())
            for form in ("png", "pdf"):
                _write(folder / f"{name}.{form}", to_bytes(figure, form))
        _write(folder / f"{name}.csv", frame.to_csv(index=False).encode())
        table = exhibit.show(frame) if exhibit.show else None
        if table is not None:
            _write(folder / f"{name}.md", to_markdown(table, 3).encode())
        picture = Markup(inline_svg(svg, name, sprite)) if table is None else Markup("")
        alt = f"{exhibit.title}. {exhibit.caption} The values are in figures/{name}.csv."
        shown.append(
            Drawn(name, exhibit.paper, exhibit.title, exhibit.caption, True, True, picture, alt, table, "", "")
        )
    return shown


def headline(results: Results, judgements: Sequence[tuple[Claim, Judgement]]) -> list[tuple[str, str]]:
    """The few numbers that come first: (what, value)."""
    levels = known_levels(results)
    lines = []
    if len(levels):
        last = levels.iloc[-1]
        lines.append(("levels", str(len(levels))))
        if pd.notna(last["sparsity"]):
            lines.append(("sparsest level, all weights", percent(last["sparsity"])))
    bleu = with_sparsity(results["bleu"], results).sort_values("level")
    if len(bleu):
        first = bleu[(bleu["test_set"] == bleu["test_set"].iloc[0]) & (bleu["metric"] == bleu["metric"].iloc[0])]
        dense, sparse = first.iloc[0], first.iloc[-1]
        name = str(dense["metric"]).replace("bleu", "BLEU")
        lines.append((f"{name}, LTH{dense['level']}", number(dense["score"], digits=2)))
        if len(first) > 1:
            lines.append((f"{name}, LTH{sparse['level']}", number(sparse["score"], digits=2)))
    tasks = results["probes"]["task"].nunique()
    if tasks:
        lines.append(("probing tasks", f"{tasks} of {len(TASK_NAMES)}"))
    held = sum(judgement.verdict == HOLDS for _, judgement in judgements)
    tested = sum(judgement.verdict in (HOLDS, FAILS, UNDECIDED) for _, judgement in judgements)
    lines.append(("claims that hold", f"{held} of {tested} tested"))
    return lines


def what_was_run(results: Results) -> str:
    """The experiment in two or three sentences: how it pruned, what was probed and what was compared."""
    parts = []
    known = known_levels(results)
    name = run_name(results)
    if len(known):
        pruned = f"{name[0].upper()}{name[1:]}" if len(results["lth"]) else "Pruning"
        parts.append(f"{pruned}: {len(known)} levels, LTH{known['level'].min()} to LTH{known['level'].max()}.")
    rows = results["probes"]
    trained = rows[rows["level"].notna()]
    if len(trained):
        kinds = " and ".join(kind for kind in ("linear", "mlp") if (trained["probe"] == kind).any())
        layers = layer_order([layer for layer in trained["layer"].unique() if layer.isdigit() or layer == NORM])
        seeds = trained["seed"].nunique()
        parts.append(
            f"Probes: {kinds.replace('mlp', 'MLP')}, {trained['task'].nunique()} tasks, encoder layers "
            f"{', '.join(layers)}, {seeds} seed{'s' * (seeds > 1)}."
        )
    rows = results["similarity"]
    if len(rows):
        tokens = rows.loc[rows["component"].isin(["encoder", "decoder"]) & (rows["group"] == ""), "n"].max()
        size = "" if pd.isna(tokens) else f" on up to {tokens:,} tokens"
        parts.append(f"Similarity: {', '.join(m.replace('_', ' ') for m in rows['measure'].unique())}{size}.")
    return " ".join(parts)


def _render(
    results: Results,
    drawn: dict[str, Drawn],
    judgements: Sequence[tuple[Claim, Judgement]],
    comparison: Comparison | None,
    compared: list[Drawn],
    sprite: dict[str, str],
) -> str:
    """The page's text."""
    loader = PackageLoader("probing_bridge.report", "")
    environment = Environment(loader=loader, autoescape=select_autoescape(default=True), trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    source = {name: loader.get_source(environment, name)[0] for name in ("report.css", "report.js")}
    sections = {
        key: (title, [drawn[name] for name, exhibit in FIGURES.items() if exhibit.section == key])
        for key, title in SECTIONS.items()
    }
    layers = layer_order(list(model_layers(results["similarity"], "layer_a")["layer_a"]))
    counts = {verdict: sum(j.verdict == verdict for _, j in judgements) for verdict in VERDICTS}
    return environment.get_template("report.html.j2").render(
        results=results,
        version=__version__,
        css=Markup(source["report.css"]),
        js=Markup(source["report.js"]),
        light="".join(f"--{name}:{color};" for color, (name, _) in THEME.items()),
        dark="".join(f"--{name}:{color};" for name, color in THEME.values()),
        sprite=sorted(sprite.items()),
        headline=headline(results, judgements),
        what=what_was_run(results),
        sections=sections,
        ready={name for name, item in drawn.items() if item.ready},
        levels={level: label.replace("\n", ", ") for level, label in level_labels(known_levels(results)).items()},
        layers=layers,
        judgements=judgements,
        counts=counts,
        comparison=comparison,
        compared=compared,
        versions=_different(results, "package_version"),
        commands=_different(results, "command"),
        checkpoints=_different(results, "hash_a", "hash_b", "reps_hash"),
        sentences=_different(results, "sentence_hash"),
    )


def _different(results: Results, *columns: str) -> list[str]:
    """The different values of some columns in all tables."""
    values = [
        value for frame in results.tables.values() for c in columns if c in frame.columns for value in frame[c].unique()
    ]
    return sorted({str(value) for value in values if value and not pd.isna(value)})
