"""What tasks, layers and components are called, and the order they stand in.

Place in the flow: result tables -> naming -> levels, probing, similarity, compared -> figures, claims, report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from probing_bridge.corpora.tasks import PAPER_TASKS, TASKS

NORM = "norm"  # the final layer norm of a pre-norm model, over its layer L

# Task key -> its short name and category in Movva & Zhao (2020), in the order of its Fig. 1.
TASK_NAMES: dict[str, tuple[str, str]] = {name: (task.title, task.category) for name, task in PAPER_TASKS.items()}

COMPONENTS = {
    "encoder": "encoder",
    "decoder": "decoder",
    "encoder_self": "encoder self-attention",
    "encoder_decoder": "encoder-decoder attention",
    "decoder_self": "decoder self-attention",
}


def about_text(frame: pd.DataFrame) -> str:
    """What intervals of similarity are about, to end a caption's sentence on them.

    Args:
        frame: Any; those with the column interval_of say it.

    Returns:
        `, about the population` or the like; nothing where it is not said.
    """
    about = {"population": "the population", "corpus size": "corpora of this size"}
    said = sorted(set(frame["interval_of"].dropna())) if "interval_of" in frame.columns else []
    return f", about {' and '.join(about.get(name, name) for name in said)}" if said else ""


def pairs_text(frame: pd.DataFrame) -> str:
    """Which pairs of words the scores of attention are of, and what they are at random, for captions.

    Args:
        frame: Columns component and variant; baseline if the scores have one.

    Returns:
        A sentence for each kind of attention.
    """
    sentences = []
    for name in [name for name in COMPONENTS if name in set(frame["component"])]:
        part = frame[frame["component"] == name]
        text = f"{COMPONENTS[name]} is scored over {' and '.join(sorted(set(part['variant'])))} pairs of words"
        if "baseline" in part and part["baseline"].notna().any():
            least, most = part["baseline"].min(), part["baseline"].max()
            text += f", where attention at random with the same entropy gives {least:.2f} to {most:.2f}"
        sentences.append(f"{text[0].upper()}{text[1:]}.")
    return " ".join(sentences)


def task_label(task: str) -> str:
    """The short name of a task, the paper's where it has the task; the key itself for a task of nobody's."""
    return TASKS[task].title if task in TASKS else task


def task_category(task: str) -> str:
    """The paper's category of a task: POS, syntactic or semantic; empty for a task the paper does not have."""
    return TASK_NAMES[task][1] if task in TASK_NAMES else ""


def task_order(tasks: Sequence[str]) -> list[str]:
    """Tasks in the order of the paper's Fig. 1, others behind them by name."""
    known = list(TASK_NAMES)
    return sorted(set(tasks), key=lambda task: (known.index(task) if task in known else len(known), task))


def metric_label(metric: str) -> str:
    """A metric of translations as papers write it."""
    return metric.replace("bleu", "BLEU").replace("chrf", "chrF")


def layer_order(layers: Sequence[str]) -> list[str]:
    """Layer names by height: numbers first, then names such as `norm`."""
    return sorted(set(layers), key=lambda layer: (not layer.isdecimal(), int(layer) if layer.isdecimal() else 0, layer))


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows of a frame as named tuples, whose fields are the columns of its table."""
    yield from frame.itertuples(index=False)


def model_layers(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows whose layers are the model's own: 1 to L and the final norm; no embeddings, mix or baseline."""
    keep = pd.Series(True, index=frame.index)
    for column in columns:
        keep &= (frame[column].str.isdecimal() & (frame[column] != "0")) | (frame[column] == NORM)
    return frame[keep]


def numbered_layers(frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """The rows of layers 1 to L alone: means over layers do not count layer L once more as its norm."""
    rows = model_layers(frame, *columns)
    return rows[(rows[list(columns)] != NORM).all(axis=1)]


def final_layers(layers: Iterable[str]) -> tuple[str, ...]:
    """What may be called the final layer: the one whose output is read on, and layer L beside it.

    The decoder (of the encoder) or the output projection (of the decoder) reads the final norm of a pre-norm model,
    `norm`, and layer L of a post-norm one, which Movva & Zhao (2020) trained. Every figure, table and claim about the
    final layer is about the first of these and shows the second, if there is one, beside it.

    Args:
        layers: Names of layers that have results.

    Returns:
        `norm` and L; only one of them where the other has no results. Nothing without layers.
    """
    heights = [int(layer) for layer in set(layers) if layer.isdecimal()]
    return ((NORM,) if NORM in set(layers) else ()) + ((str(max(heights)),) if heights else ())


def layers_below(layers: Iterable[str]) -> list[str]:
    """Layers 1 to L - 1, lowest first: neither layer L nor its norm."""
    return sorted({layer for layer in layers if layer.isdecimal() and layer != "0"}, key=int)[:-1]


def layer_label(layer: str) -> str:
    """A layer in words: `layer 3`, `norm`, `all layers`."""
    return {NORM: NORM, "all": "all layers"}.get(layer, f"layer {layer}")


def final_text(frame: pd.DataFrame) -> str:
    """Says which layer a frame with the column `layer` (or `layer_a`), and perhaps `component`, means by the final."""
    column = "layer" if "layer" in frame.columns else "layer_a"
    parts = frame.groupby("component", sort=False) if "component" in frame.columns else [("", frame)]
    texts: dict[str, list[str]] = {}
    for component, part in parts:
        first, *beside = final_layers(part[column])
        text = layer_label(first) + "".join(f", the norm over {layer_label(layer)}" for layer in beside)
        texts.setdefault(text, []).append(str(component))
    if len(texts) == 1:
        return f"The final layer is {next(iter(texts))}."
    named = "; ".join(f"of the {' and '.join(components)} {text}" for text, components in texts.items())
    return f"The final layer is {named}."
