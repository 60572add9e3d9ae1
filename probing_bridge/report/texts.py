"""What the page says in words and numbers: its head, what was run, where each figure comes from.

Place in the flow: results, claims -> texts -> page.
"""

from __future__ import annotations

import pandas as pd

from probing_bridge.figures.style import number, percent
from probing_bridge.probes.parts import PARTS
from probing_bridge.results.folder import Results
from probing_bridge.results.kept import KeptPredictions
from probing_bridge.results.levels import experiment_name, judged_test, known_levels, of_test
from probing_bridge.results.naming import NORM, TASK_NAMES, layer_order, metric_label, task_label
from probing_bridge.results.runs import mean_of_runs

_LONG_COMMAND = 400  # characters; a longer one is cut on the page, whole in the CSV files


def headline(results: Results) -> list[tuple[str, str]]:
    """The few numbers that come first: (what, value)."""
    levels = known_levels(results)
    lines = []
    if len(levels):
        last = levels.iloc[-1]
        lines.append(("runs", str(len(results.runs))))
        lines.append(("levels", str(levels["level"].nunique())))
        if pd.notna(last["sparsity"]):
            lines.append(("sparsest level, all weights", percent(last["sparsity"])))
    bleu = of_test(results["bleu"], judged_test(results)).sort_values("level", kind="stable")
    if len(bleu):
        first = mean_of_runs(bleu, ["level"])
        dense, sparse = first.iloc[0], first.iloc[-1]
        name = metric_label(str(dense["metric"]))
        lines.append((f"{name}, LTH{dense['level']}", number(dense["score"], digits=2)))
        if len(first) > 1:
            lines.append((f"{name}, LTH{sparse['level']}", number(sparse["score"], digits=2)))
    tasks = results["probes"]["task"].nunique()
    if tasks:
        lines.append(("probing tasks", f"{tasks} of {len(TASK_NAMES)}"))
    return lines


def title(results: Results) -> str:
    """What the page is called: how the experiment pruned and rewound, where lth.csv says so, else its folder's name."""
    name = experiment_name(results)
    return results.runs[0].name if name == results.runs[0].experiment else f"{name[0].upper()}{name[1:]}"


def what_was_run(results: Results) -> str:
    """The experiment in two or three sentences: how it pruned, what was probed and what was compared."""
    parts = []
    known = known_levels(results)
    name = experiment_name(results)
    if len(known):
        pruned = f"{name[0].upper()}{name[1:]}" if len(results["lth"]) else "Pruning"
        parts.append(
            f"{pruned}: {known['level'].nunique()} levels, LTH{known['level'].min()} to LTH{known['level'].max()}."
        )
    rows = results["probes"]
    trained = rows[rows["level"].notna()]
    if len(trained):
        kinds = " and ".join(kind for kind in ("linear", "mlp") if (trained["probe"] == kind).any())
        layers = layer_order([layer for layer in trained["layer"].unique() if layer.isdecimal() or layer == NORM])
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


def effects_of_probes(results: Results) -> str:
    """What the intervals of effects of probes are made of; empty without probes."""
    if not len(results["probes"]):
        return ""
    lacking = sorted(KeptPredictions(results["probes"], [run.folder for run in results.runs]).lacking())
    if not lacking:
        return "from the kept predictions of each test item, paired over levels, layers and probes (Multi-Bootstrap)"
    names = ", ".join(str(number) for number in lacking)
    which = "" if len(results.runs) == 1 else f" of run{'s' * (len(lacking) > 1)} {names}"
    return (
        f"from the intervals of the tables, which are wider than those of kept predictions; not all{which} are in "
        f"{PARTS} beside the tables"
    )


def missing_tasks(frame: pd.DataFrame) -> str:
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


def different(results: Results, *columns: str) -> list[str]:
    """The different values of some columns in all tables."""
    values = [
        value for frame in results.tables.values() for c in columns if c in frame.columns for value in frame[c].unique()
    ]
    return sorted({str(value) for value in values if value and not pd.isna(value)})
