"""Numbers that the paper and its authors' public notebooks give, as rows that results can be laid beside.

From the paper (Movva & Zhao 2020, Sections 3.1-5.4): BLEU, sparsity, NeuronSim, k for 80 % of the variance, attention.
From the authors' repository (rmovva/lth-fairseq, commit 11bb5064, August 2020): the best layer of each linear probe;
these are interim numbers, a month older than the paper's tables, which are images.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from probing_bridge.errors import InputError
from probing_bridge.formats.origin import MOST_LEVELS
from probing_bridge.formats.tables import LONGEST_NAME
from probing_bridge.formats.text import file_bytes, plain_text

COLUMNS = ("measure", "subject", "level", "score", "low", "high")
BEST_ON_TEST = "linear probe, best layer on test"  # what the paper reports of a task and level

SPARSITY = (0.0, 0.168, 0.302, 0.410, 0.496, 0.565, 0.620, 0.664, 0.699)

# Task -> best layer's score at LTH0, LTH1, ...; None: not given.
PROBES: dict[str, tuple[float | None, ...]] = {
    "pos": (0.967826, 0.968162, 0.967408, 0.968509, 0.968478, 0.968478, 0.968122, 0.968865, 0.969386),
    "ccg": (0.929804, 0.929099, 0.928622, 0.928126, 0.928355, 0.930012, 0.930238, 0.929804, 0.929501),
    "parent": (0.951045, 0.950613, 0.951476, 0.951524, 0.951668, 0.951572, 0.950661, 0.950110),
    "gparent": (0.792701, 0.792893, 0.791838, 0.789658, 0.789634, 0.789370, 0.790017, 0.790329),
    "ggparent": (0.655947, 0.653983, 0.656403, 0.651275, 0.654150, 0.652042, 0.654965, 0.647129),
    "st": (0.933116, 0.934015, 0.933992, 0.933143, 0.933086, 0.933637, 0.934566, 0.934412),
    "ps_fxn": (0.858065, 0.858525, 0.846544, 0.839631, 0.846544, 0.841475, 0.833180, 0.826267, 0.828111),
    "ps_role": (0.739631, 0.760369, 0.755760, 0.744240, 0.737327, 0.725806, 0.716590, 0.716590, 0.720737),
    "ef": (0.711749, 0.713707, 0.718988, 0.721739, 0.722469, 0.722469, 0.717368, 0.716482),
    "chunk": (0.913263, 0.909733, 0.912473, 0.911829, 0.910934, 0.912977, 0.914167, 0.912209, 0.911917),
    "ner": (0.717865, 0.723404, 0.726375, 0.727273, 0.727940, 0.730606, 0.718641, 0.718914, 0.717431),
    "ged": (0.302259, 0.307415, 0.305389, 0.305814, 0.308672, 0.309547, 0.304666, 0.297085, 0.299174),
    "conj": (0.437521, 0.432362, 0.438591, 0.434062, 0.442857, 0.428111, 0.434668, 0.439826, 0.428152),
    "syn_arc_prediction": (0.905396, 0.906137, 0.897673, None, None, None, None, None, 0.920881),
    "syn_arc_classification": (
        0.955823, 0.957832, 0.956727, 0.955848, 0.955647, 0.955446, 0.955948, 0.927041, 0.956275,
    ),
    "sem_arc_prediction": (0.892060, 0.893854, 0.894895, 0.898329, 0.903093, 0.907524, 0.910604, 0.913484, 0.917184),
    "sem_arc_classification": (
        0.927730, 0.930521, 0.929768, 0.931762, 0.932692, 0.930787, 0.934598, 0.934952, 0.937389,
    ),
    "coref": (0.771656, 0.779478, 0.744962, 0.761454, 0.765041, 0.747291, 0.724848, 0.749973, 0.749001),
}  # fmt: skip

# (measure, subject, level, number), named as comparison.measures names them.
OTHERS: tuple[tuple[str, str, int, float], ...] = (
    ("bleu", "test", 0, 27.77),
    ("bleu", "test", 7, 27.61),
    ("neuron_similarity to LTH0", "decoder, layer 1", 8, 0.82),
    ("neuron_similarity to LTH0", "decoder, layer 6", 8, 0.71),
    ("own index, neurons", "encoder and decoder", 8, 0.998),
    ("spectrum_k80", "encoder", 0, 290),
    ("spectrum_k80", "encoder", 8, 176),
    ("spectrum_k80", "decoder", 0, 283),
    ("spectrum_k80", "decoder", 8, 139),
    ("attention_cka to LTH0", "encoder_self, layer 1", 8, 0.62),
    ("attention_cka of different layers", "encoder_self, layer 1", 0, 0.18),
    ("attention_cka of different layers", "encoder_self, layer 1", 8, 0.41),
    ("attention_cka of different layers", "encoder_decoder, layer all", 0, 0.63),
    ("attention_cka of different layers", "encoder_decoder, layer all", 8, 0.69),
    ("attention_concentration", "decoder_self over all pairs", 0, 0.41),
    ("attention_concentration", "decoder_self over all pairs", 8, 0.40),
    ("attention_concentration", "encoder_self", 8, 0.30),
    ("attention_concentration", "encoder_decoder", 8, 0.16),
)

# Section 4.2: task -> what becomes of its score as sparsity grows.
PAPER_KINDS = {
    **dict.fromkeys(("ps_fxn", "ps_role", "coref"), "degrading"),
    **dict.fromkeys(("syn_arc_prediction", "sem_arc_prediction"), "improving"),
    **dict.fromkeys(
        ("pos", "ccg", "parent", "gparent", "ggparent", "chunk", "conj", "syn_arc_classification", "st",
         "sem_arc_classification"),
        "invariant",
    ),
}  # fmt: skip

# Task names in a file of reference numbers -> ours (the configurations of Liu et al. 2019).
_NAMES = {
    "ptb_pos_tagging": "pos",
    "ccg_supertagging": "ccg",
    "syntactic_constituency_parent": "parent",
    "syntactic_constituency_gparent": "gparent",
    "syntactic_constituency_ggparent": "ggparent",
    "semantic_tagging": "st",
    "adposition_supersense_tagging_function": "ps_fxn",
    "adposition_supersense_tagging_role": "ps_role",
    "event_factuality": "ef",
    "conll2000_chunking": "chunk",
    "conll2003_ner": "ner",
    "grammatical_error_correction": "ged",
    "conjunct_identification": "conj",
    "syntactic_dependency_arc_prediction": "syn_arc_prediction",
    "syntactic_dependency_arc_classification": "syn_arc_classification",
    "semantic_dep_prediction": "sem_arc_prediction",
    "semantic_dep_classification": "sem_arc_classification",
    "coref_resolution": "coref",
}


def paper_measures() -> pd.DataFrame:
    """The numbers of this module: measure, subject, level, score, low, high (no intervals are given)."""
    return _frame(SPARSITY, PROBES, OTHERS)


def read_reference(path: str | Path) -> pd.DataFrame:
    """Reads a JSON file of reference numbers in the layout of `paper_reference.json`.

    Keys that start with `best_layer` hold task -> scores at LTH0, LTH1, ...; `overall_sparsity...` holds LTHk ->
    sparsity; `neurons_max_corr_with_same_index...` holds LTHk -> neurons of 1024 per layer. Other keys are left alone.

    Args:
        path: The file.

    Returns:
        measure, subject, level, score, low, high.

    Raises:
        InputError: No such file, no JSON object, a value of another shape, or nothing to compare with.
    """
    try:
        content = json.loads(plain_text(file_bytes(path), Path(path)))
    except json.JSONDecodeError as error:
        raise InputError(f"is no JSON ({error.msg})", path, error.lineno) from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or lists in lists
        raise InputError(f"is no JSON that can be read ({error})", path) from error
    if not isinstance(content, dict):
        raise InputError("holds no object of reference numbers", path)
    probes: dict[str, Sequence[float | None]] = {}
    others: list[tuple[str, str, int, float]] = []
    sparsity: list[float] = []
    try:
        for key, value in content.items():
            if key.startswith("best_layer"):
                probes |= {_NAMES.get(task.split(" ")[0], task.split(" ")[0]): scores for task, scores in value.items()}
            elif key.startswith("overall_sparsity"):
                sparsity = [float(value[f"LTH{level}"]) for level in range(len(value))]
            elif key.startswith("neurons_max_corr_with_same_index"):
                rows = [
                    (int(name.removeprefix("LTH")), sum(counts) / len(counts) / 1024) for name, counts in value.items()
                ]
                others += [("own index, neurons", "encoder", level, share) for level, share in rows]
        frame = _frame(sparsity, probes, others)
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, ZeroDivisionError) as error:
        raise InputError(f"reference numbers of another shape under {key!r:.80} ({str(error)[:80]})", path) from error
    if not len(frame):
        raise InputError("no numbers to compare with: expected keys such as best_layer or overall_sparsity", path)
    known = np.isfinite(frame["score"]) & frame["level"].between(0, MOST_LEVELS)
    if not (known & (frame["subject"].str.len() <= LONGEST_NAME)).all():
        raise InputError("has a score that is no finite number, or a level or a name that is none", path)
    return frame


def _frame(
    sparsity: Sequence[float],
    probes: Mapping[str, Sequence[float | None]],
    others: Sequence[tuple[str, str, int, float]],
) -> pd.DataFrame:
    """Reference numbers as rows; those that are None are left out."""
    rows: list[tuple[str, str, int, float]] = [
        ("sparsity", "all weights", level, s) for level, s in enumerate(sparsity)
    ]
    for task, scores in probes.items():
        rows += [(BEST_ON_TEST, task, level, float(s)) for level, s in enumerate(scores) if s is not None]
    frame = pd.DataFrame([*rows, *others], columns=list(COLUMNS[:4]))
    return frame.assign(low=float("nan"), high=float("nan"))
