"""The result tables by name: columns, key, and what a row is. tables.py reads and writes them.

A row is a checkpoint x layer x measure x seed. Levels are numbers (0 = dense), sparsity is a fraction in [0, 1],
layer 0 is the embeddings. `experiment` is the identity that training wrote into its checkpoints; it travels through
dumps and representations into every row, so rows of different experiments are never mixed by accident. Missing
values are empty cells.

Words used in the cells of the probes table: `probe` is linear, mlp, majority or word_majority (baselines: layer `-`),
or linear_control, mlp_control (control task); `metric` is the task's own metric (accuracy, f1, pearson) or, beside
it, gain, selectivity, control_ceiling, mdl_bits, mdl_compression, f0.5.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Table:
    """One result table.

    Attributes:
        columns: Column name -> pandas dtype, in file order.
        key: The columns that identify a row; no two rows may share them.
        about: What a row is.
    """

    columns: dict[str, str]
    key: tuple[str, ...]
    about: str


_PROVENANCE = {"package_version": "str", "command": "str"}

# Least and largest value of what means the same in every table. Counts, seeds and levels are natural numbers; bounds of
# scores and differences are those of their measures.
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("sparsity", "sparsity_prunable", "module_sparsity", "rate", "threshold"), (0.0, 1.0)),
    **dict.fromkeys(("p", "cumulative_variance", "baseline"), (0.0, 1.0)),
    **dict.fromkeys(("divergence_low", "divergence_high", "probability_a", "probability_b"), (0.0, 1.0)),
    **dict.fromkeys(("correlation", "own_correlation"), (-1.0, 1.0)),
    **dict.fromkeys(("lr", "lr_before"), (0.0, float("inf"))),
}
TABLES: dict[str, Table] = {
    "bleu": Table(
        {
            "experiment": "str", "level": "Int64", "test_set": "str", "metric": "str", "score": "float64",
            "low": "float64", "high": "float64", "n": "Int64", "signature": "str", **_PROVENANCE,
        },
        ("experiment", "level", "test_set", "metric"),
        "translation quality of one level on one test set",
    ),
    "bleu_differences": Table(
        {
            "experiment": "str", "level": "Int64", "test_set": "str", "metric": "str", "other_experiment": "str",
            "other_level": "Int64", "difference": "float64", "low": "float64", "high": "float64", "ratio": "float64",
            "ratio_low": "float64", "ratio_high": "float64", "p": "float64", "n": "Int64", "signature": "str",
            **_PROVENANCE,
        },
        ("experiment", "level", "test_set", "metric", "other_experiment", "other_level"),
        "score of one level less that of another and as a share of it, with intervals by bootstrap over sentences, and "
        "p of a two-sided test, both paired and of this comparison alone",
    ),
    "probes": Table(
        {
            "experiment": "str", "model": "str", "level": "Int64", "sparsity": "float64", "task": "str",
            "layer": "str", "probe": "str", "seed": "Int64", "metric": "str", "score": "float64", "low": "float64",
            "high": "float64", "n": "Int64", "best_epoch": "Int64", "dev_score": "float64", "features": "str",
            "data_hash": "str", "reps_hash": "str", **_PROVENANCE,
        },
        ("experiment", "model", "task", "layer", "probe", "seed", "metric"),
        "one score of one probe on the test split, or without a seed the mean over seeds; layer is a number, or `mix`, "
        "or `-` for baselines; dev_score is what the best epoch (from 0) scored on the development split; features is "
        "`standardised` or, as in Liu et al., `raw`",
    ),
    "probes_details": Table(
        {
            "experiment": "str", "model": "str", "level": "Int64", "task": "str", "layer": "str", "probe": "str",
            "seed": "Int64", "label": "str", "metric": "str", "score": "float64", "n": "Int64",
        },
        ("experiment", "model", "task", "layer", "probe", "seed", "label", "metric"),
        "a further score of the same test predictions: another metric (label empty), or one label by itself",
    ),
    "probes_differences": Table(
        {
            "experiment": "str", "task": "str", "layer": "str", "probe": "str", "seed": "Int64", "metric": "str",
            "level": "Int64", "other_level": "Int64", "difference": "float64", "low": "float64", "high": "float64",
            "p": "float64", "n": "Int64", "resamples": "Int64",
        },
        ("experiment", "task", "layer", "probe", "seed", "metric", "level", "other_level"),
        "score of a level less that of another (without a seed: of the means over seeds), with a bootstrap of so many "
        "samples of the sentences that is paired between the two",
    ),
    "similarity": Table(
        {
            "experiment": "str", "measure": "str", "variant": "str", "component": "str", "level_a": "Int64",
            "layer_a": "str", "level_b": "Int64", "layer_b": "str", "group": "str", "threshold": "float64",
            "score": "float64", "low": "float64", "high": "float64", "interval_of": "str", "baseline": "float64",
            "n": "Int64", "sentence_hash": "str", "hash_a": "str", "hash_b": "str", **_PROVENANCE,
        },
        ("experiment", "measure", "variant", "component", "level_a", "layer_a", "level_b", "layer_b", "group"),
        "one similarity of two layers (or one property of one layer: level_b and layer_b empty); variant is the "
        "estimator or the centring, of attention whether it is of the visible or of all pairs of words; threshold the "
        "mass from which attention is concentrated; interval_of says whether low and high are about the population or "
        "about corpora of this size; baseline the score of random attention of the same entropy",
    ),
    "neurons": Table(
        {
            "experiment": "str", "component": "str", "level_a": "Int64", "layer_a": "str", "level_b": "Int64",
            "layer_b": "str", "neuron": "Int64", "best_match": "Int64", "correlation": "float64",
            "own_correlation": "float64",
        },
        ("experiment", "component", "level_a", "layer_a", "level_b", "layer_b", "neuron"),
        "one neuron of layer a, its best match in layer b and its correlation with the neuron of its own index",
    ),
    "heads": Table(
        {
            "experiment": "str", "component": "str", "variant": "str", "level_a": "Int64", "layer_a": "str",
            "level_b": "Int64", "layer_b": "str", "head": "Int64", "best_match": "Int64", "correlation": "float64",
            "own_correlation": "float64", "baseline": "float64",
        },
        ("experiment", "component", "variant", "level_a", "layer_a", "level_b", "layer_b", "head"),
        "one attention head of layer a and its best match in layer b, over the visible or over all pairs of words; "
        "baseline is the correlation of the best match of random attention of the same entropy",
    ),
    "spectrum": Table(
        {
            "experiment": "str", "component": "str", "level": "Int64", "layer": "str", "variant": "str",
            "k": "Int64", "cumulative_variance": "float64",
        },
        ("experiment", "component", "level", "layer", "variant", "k"),
        "share of a layer's variance in its first k principal directions",
    ),
    "disagreements": Table(
        {
            "experiment": "str", "level_a": "Int64", "level_b": "Int64", "sentence": "Int64", "position": "Int64",
            "divergence_low": "float64", "divergence_high": "float64", "gold": "str", "best_a": "str", "best_b": "str",
            "probability_a": "float64", "probability_b": "float64", "source": "str", "target": "str",
        },
        ("experiment", "level_a", "level_b", "sentence", "position"),
        "a sentence (position empty) or a target token on which the outputs of two levels differ most: bounds of the "
        "Jensen-Shannon divergence in bits (of a sentence: the mean), the gold token and its probabilities, the best "
        "token of each; sentences and positions are counted from 0",
    ),
    "lth": Table(
        {
            "experiment": "str", "level": "Int64", "epoch": "Int64", "updates": "Int64", "lr": "float64",
            "sparsity_prunable": "float64", "sparsity": "float64", "weights": "Int64", "prunable_weights": "Int64",
            "pruned_weights": "Int64", "rate": "float64", "score": "str", "scope": "str",
            "calibration_batches": "Int64", "seed": "Int64", "masks_from": "str", "rewind": "str",
            "rewind_epoch": "Int64", "lr_before": "float64", "lr_rise": "float64",
            "updates_before": "Int64", "updates_after": "Int64",
            "parent": "str", "mask_hash": "str", "wall_seconds": "float64", "checkpoint": "str",
            "checkpoint_hash": "str",
        },
        ("experiment", "level"),
        "one level of a run: sparsity of the prunable and of all weights; how it was pruned and rewound (empty for the "
        "dense level; calibration_batches: how many the score looked at; seed of what is drawn, masks_from the "
        "experiment whose masks were used); `lr` is the learning rate after the rewind, `lr_rise` by what share of the "
        "rate before it is higher",
    ),
    "interpolation": Table(
        {
            "experiment": "str", "level": "Int64", "other_experiment": "str", "other_level": "Int64",
            "alpha": "float64", "loss": "float64", "bleu": "float64",
        },
        ("experiment", "level", "other_experiment", "other_level", "alpha"),
        "validation loss, and BLEU if asked for, of a mixture of two levels' weights; alpha is the share of the other "
        "level",
    ),
    "lth_modules": Table(
        {
            "experiment": "str", "level": "Int64", "module": "str", "component": "str", "layer": "Int64",
            "kind": "str", "projection": "str", "weights": "Int64", "pruned": "Int64", "module_sparsity": "float64",
        },
        ("experiment", "level", "module"),
        "how many weights of one module are pruned at one level, and their share",
    ),
}  # fmt: skip
