"""A made-up results folder of any size, shaped like the paper's findings or like their opposite.

    python tests/probing_bridge/synthetic_results.py DIR [BASELINE]

writes nine levels x 18 tasks x 6 layers of a 1024-wide model into DIR, and the BLEU of random pruning, a branch of it,
into BASELINE. Used by the tests of the report and to look at its page.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from probing_bridge.formats.columns import TABLES
from probing_bridge.formats.tables import write_table
from probing_bridge.results.naming import TASK_NAMES
from probing_bridge.similarity.measures.registry import interval_of

SYNTACTIC_ORDER = list(TASK_NAMES)
BASE = dict(
    zip(
        TASK_NAMES,
        [0.968, 0.930, 0.951, 0.793, 0.656, 0.913, 0.720, 0.302, 0.437, 0.905, 0.956, 0.933, 0.858, 0.740, 0.712, 0.892,
         0.928, 0.772],
        strict=True,
    )
)  # fmt: skip
DEGRADING, IMPROVING = ("ps_fxn", "ps_role", "coref"), ("syn_arc_prediction", "sem_arc_prediction")
METRIC = {"chunk": "f1", "ner": "f1", "conj": "f1", "ged": "f1", "ef": "pearson"}
VERSION = {"package_version": "0.1.0", "command": "python -m probing_bridge.run probe --suite suite.yaml"}
SIMILARITY = {"package_version": "0.1.0", "command": "python -m probing_bridge.run similarity --dumps LTH*.h5"}


def write_results(
    folder: Path, levels: int = 9, tasks: int = 18, layers: int = 6, width: int = 1024, sign: int = 1,
    experiment: str = "magnitude-4f2a", score: str = "magnitude", pre_norm: bool = False, seed: int = 7,
) -> Path:  # fmt: skip
    """Writes every table of a results folder.

    Args:
        folder: Where; made if need be.
        levels: Number of levels, the dense one included.
        tasks: Number of probing tasks, in the paper's order.
        layers: Layers of the encoder and of the decoder.
        width: Neurons of a layer.
        sign: 1: trends as in the paper; -1: the other way round.
        experiment: Identity in every row.
        score: What the masks were chosen by.
        pre_norm: Whether both stacks end in a final norm, whose rows are named `norm`: it probes best, and where the
            trends of layer L are the paper's its own are the other way round.
        seed: Of the noise on scores; those of BLEU are a twentieth of a point apart a seed.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    _write_levels(folder, levels, layers, sign, experiment, score)
    bleu = _bleu(levels, sign, experiment)
    bleu = bleu.assign(**{name: bleu[name] + 0.05 * (seed - 7) for name in ("score", "low", "high")})
    write_table(bleu, "bleu", folder / "bleu.csv")
    _write_differences(folder, bleu, bleu[bleu["level"] == 0])
    names = list(TASK_NAMES)[:tasks]
    write_table(_probes(random, names, levels, layers, sign, experiment, pre_norm), "probes", folder / "probes.csv")
    write_table(_similarity(levels, layers, sign, experiment, pre_norm), "similarity", folder / "similarity.csv")
    if levels > 1:
        write_table(_disagreements(levels, experiment), "disagreements", folder / "disagreements.csv")
    for name, count in (("neurons", width), ("heads", 16)) if levels > 1 else ():
        frame = _matches(random, levels, layers, count, name, sign, experiment, pre_norm and name == "neurons")
        write_table(frame, name, folder / f"{name}.csv")
    write_table(_spectrum(levels, layers, width, sign, experiment, pre_norm), "spectrum", folder / "spectrum.csv")
    return folder


def write_baseline(
    folder: Path, levels: int = 9, sign: int = 1, parent: str = "magnitude-4f2a", experiment: str = "random-9c1d"
) -> Path:
    """Writes lth.csv and bleu.csv of random pruning that branched off LTH0 of the experiment `parent`."""
    folder.mkdir(parents=True, exist_ok=True)
    lth = _levels(levels, experiment, "random").assign(parent=f"{parent}/lth0")
    write_table(lth[lth["level"] > 0], "lth", folder / "lth.csv")
    own = _bleu(levels, sign, parent)
    bleu = own.assign(experiment=experiment)
    down = (6 if sign > 0 else -6) * bleu["level"] / levels
    bleu = bleu.assign(**{name: bleu[name] - down for name in ("score", "low", "high")})
    bleu = bleu[bleu["level"] > 0]
    write_table(bleu, "bleu", folder / "bleu.csv")
    _write_differences(folder, bleu, own)
    return folder


def sparsities(levels: int) -> tuple[np.ndarray, np.ndarray]:
    """Sparsity of the prunable and of all weights after 0, 1, ... prunings of a fifth (84 % prunable)."""
    prunable = 1 - 0.8 ** np.arange(levels)
    return prunable, prunable * 0.84


def _levels(levels: int, experiment: str, score: str) -> pd.DataFrame:
    prunable, total = sparsities(levels)
    frame = pd.DataFrame({"level": range(levels), "epoch": 60, "updates": 1000, "lr": 1e-4})
    frame = frame.assign(sparsity_prunable=prunable, sparsity=total, experiment=experiment, rewind="lr", score=score)
    frame.loc[frame["level"] == 0, ["rewind", "score"]] = ""
    return frame.assign(mask_hash="c0ffee", parent="")


def _write_levels(folder: Path, levels: int, layers: int, sign: int, experiment: str, score: str) -> None:
    prunable, _ = sparsities(levels)
    write_table(_levels(levels, experiment, score), "lth", folder / "lth.csv")
    rows = []
    for component in ("encoder", "decoder"):
        kinds = ["self_attn", "fc"] + (["encoder_decoder"] if component == "decoder" else [])
        for layer in range(1, layers + 1):
            for kind in kinds:
                projections = {"fc1": 4, "fc2": 4} if kind == "fc" else dict.fromkeys(("q", "k", "v", "out"), 1)
                for projection, size in projections.items():
                    for level in range(levels):
                        share = prunable[level] * (1 + sign * _tilt(kind, projection, layer, layers))
                        weights = size * 1_048_576
                        pruned = round(weights * min(max(share, 0), 1))
                        module = f"{component}.{layer - 1}.{kind}.{projection}"
                        rows.append(
                            (level, module, component, layer, kind, projection, weights, pruned, pruned / weights)
                        )
    columns = ["level", "module", "component", "layer", "kind", "projection", "weights", "pruned", "module_sparsity"]
    frame = pd.DataFrame(rows, columns=columns).assign(experiment=experiment)
    write_table(frame, "lth_modules", folder / "lth_modules.csv")


def _tilt(kind: str, projection: str, layer: int, layers: int) -> float:
    """How much more than the average a module is pruned."""
    height = (layer - 1) / max(layers - 1, 1)
    if kind == "fc":
        return -0.05 + 0.15 * height
    tilt = 0.10 if projection in ("v", "out") else -0.10
    if kind == "encoder_decoder":
        return tilt - 0.25 - 0.03 * height
    return tilt + (0.12 if layer == 1 else 0.08 if layer == layers else 0.0)


def _bleu(levels: int, sign: int, experiment: str) -> pd.DataFrame:
    falls_late = np.r_[np.linspace(0, 0.16, levels)[:-1], 0.56]
    scores = 27.77 - (falls_late if sign > 0 else 4 * np.linspace(0, 1, levels) ** 0.5)
    frame = pd.DataFrame({"level": range(levels), "score": scores, "low": scores - 0.5, "high": scores + 0.5})
    command = {"package_version": "0.1.0", "command": "fairseq-generate ... | sacrebleu"}
    signature = "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.5.1"
    about = {"experiment": experiment, "test_set": "newstest2014", "metric": "bleu", "n": 3003, "signature": signature}
    return frame.assign(**about, **command)


def _write_differences(folder: Path, bleu: pd.DataFrame, others: pd.DataFrame) -> None:
    """Every level against LTH0 and the same level of `others`; a difference of 1 BLEU or more is significant."""
    keys = {"experiment": "other_experiment", "level": "other_level", "score": "other_score"}
    pairs = bleu.merge(others[list(keys)].rename(columns=keys), how="cross")
    pairs = pairs[pairs["other_level"].isin([0]) | (pairs["other_level"] == pairs["level"])]
    pairs = pairs[(pairs["experiment"] != pairs["other_experiment"]) | (pairs["other_level"] != pairs["level"])]
    pairs = pairs.assign(signature="nrefs:1|bs:1000|ar:10000")
    for end, reach in (("low", -0.8), ("", 0.0), ("high", 0.8)):
        pairs[end or "difference"] = pairs["score"] - pairs["other_score"] + reach
        pairs[f"ratio_{end}".rstrip("_")] = (pairs["score"] + reach) / pairs["other_score"]
    pairs["p"] = np.where(pairs["difference"].abs() >= 1, 0.0001, 0.5)
    kept = [column for column in pairs.columns if column in TABLES["bleu_differences"].columns]
    write_table(pairs[kept], "bleu_differences", folder / "bleu_differences.csv")


def _probes(
    random: np.random.Generator, names: list[str], levels: int, layers: int, sign: int, experiment: str, pre_norm: bool
) -> pd.DataFrame:
    _, sparsity = sparsities(levels)
    rows = []
    for task in names:
        rows.append(("-", None, None, task, "-", "majority", 1, BASE[task] * 0.4))
        rows.append(("-", None, None, task, "-", "word_majority", 1, BASE[task] * 0.8))
        for level in range(levels):
            for layer in range(layers + 1):
                depth = (layers - layer) / layers
                for probe, gain in (("linear", 0.0), ("mlp", 0.05)):
                    score = BASE[task] - 0.08 + sign * gain - sign * 0.1 * depth + random.normal(0, 2e-4)
                    if task == "ged" and sign > 0:
                        score += 0.03 * (-1) ** level  # outweighs the slope of the one syntactic task that improves
                    if task in DEGRADING:
                        score -= sign * 0.006 * level
                    elif task in IMPROVING:
                        score += sign * 0.004 * level * (probe == "linear" or sign < 0)
                    elif sign < 0:
                        score += (-0.2 if task.endswith("classification") else 0.0) - 0.004 * level
                    if layer < layers and TASK_NAMES[task][1] != "semantic":
                        score += sign * 0.005 * level * depth
                    score *= 0.6 if layer == 0 else 1.0  # every layer adds something to the embeddings
                    row = (f"LTH{level}", level, sparsity[level], task, str(layer), probe, 1, score)
                    rows.append(row)
                    if pre_norm and layer == layers:
                        rows.append((*row[:4], "norm", *row[5:7], score + 0.02))
    columns = ["model", "level", "sparsity", "task", "layer", "probe", "seed", "score"]
    frame = pd.DataFrame(rows, columns=columns)
    frame["metric"] = frame["task"].map(METRIC).fillna("accuracy")
    frame = frame.assign(low=frame["score"] - 0.004, high=frame["score"] + 0.004, n=5000)
    frame["dev_score"] = frame["score"].where(frame["probe"].isin(["linear", "mlp"]))
    linear = frame[frame["probe"] == "linear"]
    below = frame[frame["layer"] == "0"].set_index(["task", "level", "probe"])["score"]
    above = frame[frame["level"].notna() & (frame["layer"] != "0")]
    gain = above["score"] - below.loc[list(zip(above["task"], above["level"], above["probe"], strict=True))].to_numpy()
    side = [
        above.assign(metric="gain", score=gain, low=gain - 0.003, high=gain + 0.003, dev_score=np.nan),
        linear.assign(metric="selectivity", score=linear["score"] * 0.4, low=np.nan, high=np.nan),
        linear.assign(metric="mdl_compression", score=4 * linear["score"] + 1, low=np.nan, high=np.nan),
    ]
    frame = pd.concat([frame, *side], ignore_index=True)
    return frame.assign(
        experiment=experiment,
        best_epoch=7,
        features="standardised",
        data_hash=frame["task"],
        reps_hash="beef",
        **VERSION,
    )


def _similarity(levels: int, layers: int, sign: int, experiment: str, pre_norm: bool) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []

    def add(measure: str, component: str, a: int, i: object, b: object, j: object, score: float, **extra: str) -> None:
        rows.append((measure, extra.get("variant", ""), component, a, str(i), b, str(j), extra.get("group", ""), score))

    span = max(levels - 1, 1)
    for component in ("encoder", "decoder"):
        for a, b in [(k, k) for k in range(levels)] + [(0, k) for k in range(1, levels)]:
            for i in range(layers + 1):
                for j in range(layers + 1):
                    drift = (b - a) / span * (0.05 + 0.05 * max(i, j))
                    apart = 0.1 if (component == "decoder") == (sign > 0) else 0.06
                    near = (1 if sign > 0 else -1) * 0.02 * (b / span) * abs(i - j) / 2
                    cka = 1 - apart * abs(i - j) - sign * 0.6 * drift + near - (0.35 * drift if sign < 0 else 0)
                    if component == "decoder" and i == j == layers and a != b:
                        cka += sign * 0.06
                    if component == "decoder" and a != b and j < i == layers:
                        cka = 1 - apart * abs(i - j) + sign * 0.02
                    cka = cka if (a, i) != (b, j) else 1.0
                    for variant in ("biased", "debiased"):
                        add("linear_cka", component, a, i, b, j, float(np.clip(cka, 0, 1)), variant=variant)
                    if i == j and a != b:
                        neuron = 0.95 - drift if sign > 0 else 0.4 + 0.05 * i + 0.3 * (b - a) / span
                        add("neuron_similarity", component, a, i, b, j, neuron)
            if pre_norm:
                _final_norm(add, component, layers, a, b, b / span)
        for level in range(levels):
            for layer in range(layers + 1):
                k80 = (290 if component == "encoder" else 283) - sign * 14 * level
                for name, value in (("spectrum_k80", k80), ("participation_ratio", k80 / 2)):
                    add(name, component, level, layer, None, "", value, variant="centred")
            if pre_norm:
                add("spectrum_k80", component, level, "norm", None, "", 300 + 10 * level, variant="centred")
        groups = {"frequency:0-5": 0.87, "frequency:100-500": 0.95, "frequency:2500-": 0.87, "pos:CC": 0.98,
                  "pos:JJS": 0.97, "pos:NNP": 0.85, "pos:RP": 0.86, "pos:POS": 0.79, "pos:.": 0.84,
                  "semtag:PFT": 0.84, "semtag:CON": 0.87, "semtag:DEF": 0.95, "semtag:AND": 0.97}  # fmt: skip
        for group, value in groups.items():
            value = value if sign > 0 else 1.75 - value
            for layer in [*range(1, layers + 1), *(["norm"] if pre_norm else [])]:
                shown = value if layer != "norm" else 1.75 - value
                for variant in ("biased", "debiased"):
                    add("linear_cka", component, 0, layer, levels - 1, layer, shown, variant=variant, group=group)
    _attention(add, levels, layers, sign)
    _outputs(add, levels)
    columns = ["measure", "variant", "component", "level_a", "layer_a", "level_b", "layer_b", "group", "score"]
    frame = pd.DataFrame(rows, columns=columns)
    top = np.where(frame["score"] > 1, np.inf, 1.0)  # intervals end at the bounds of similarities
    frame = frame.assign(low=frame["score"] - 0.005, high=np.minimum(frame["score"] + 0.005, top), n=120_000)
    frame["low"] = frame["low"].mask(frame["component"] == "output", frame["score"].clip(upper=frame["low"].clip(0)))
    frame["interval_of"] = [interval_of(row.measure, row.variant) for row in frame.itertuples()]
    frame["baseline"] = np.where(frame["measure"] == "attention_cka", 0.1, np.nan)
    frame["threshold"] = np.where(frame["measure"] == "attention_concentration", 0.95, np.nan)
    return frame.assign(experiment=experiment, sentence_hash="feed", hash_a="a", hash_b="b", **SIMILARITY)


def _outputs(add: object, levels: int) -> None:
    """Output distributions drift away from LTH0, least at the first position and for frequent tokens."""
    for level in range(levels):
        groups = {"": 0.5, "position:0-1": 0.2, "position:1-2": 0.4, "position:64-": 0.6, "frequency:0-5": 0.3,
                  "frequency:2500-": 0.7}  # fmt: skip
        for group, most in groups.items():
            for measure, scale in (("js_divergence", 1), ("kl_divergence", 4)):
                for variant, more in (("lower", 0.0), ("upper", 0.01)):
                    score = scale * (most * level / max(levels - 1, 1) + more * (level > 0))
                    add(measure, "output", 0, "", level, "", score, variant=variant, group=group)  # type: ignore[operator]
            add("best_token_agreement", "output", 0, "", level, "", 1 - 0.05 * level, group=group)  # type: ignore[operator]
            for measure, score in (("gold_rank", 4 + level), ("gold_reciprocal_rank", 0.8), ("calibration_error", 0.1)):
                add(measure, "output", level, "", None, "", score, group=group)  # type: ignore[operator]


def _disagreements(levels: int, experiment: str) -> pd.DataFrame:
    """Two sentences and a token a level."""
    rows = [
        {"level_a": 0, "level_b": level, "sentence": sentence, "divergence_low": 0.1 * sentence,
         "divergence_high": 0.1 * sentence + 0.05, "source": "a house", "target": "ein Haus . " * 9}
        for level in range(1, levels) for sentence in (4, 2)
    ]  # fmt: skip
    token = {
        "position": 1,
        "gold": "Haus",
        "best_a": "Haus",
        "best_b": "$",
        "probability_a": 0.9,
        "probability_b": 0.01,
    }
    return pd.DataFrame([*rows, *({**row, **token} for row in rows)]).assign(experiment=experiment)


def _final_norm(add: object, component: str, layers: int, a: int, b: int, progress: float) -> None:
    """The final norm drifts away from every layer as levels go by, and from itself in LTH0."""
    for layer in range(layers + 1):
        cka = 0.8 - 0.05 * (layers - layer) - 0.1 * progress
        add("linear_cka", component, a, "norm", b, layer, cka, variant="biased")  # type: ignore[operator]
        if a != b:
            add("linear_cka", component, a, layer, b, "norm", cka, variant="biased")  # type: ignore[operator]
    own = 1.0 if a == b else 0.3 - 0.1 * progress
    add("linear_cka", component, a, "norm", b, "norm", own, variant="biased")  # type: ignore[operator]
    if a != b:
        add("neuron_similarity", component, a, "norm", b, "norm", own)  # type: ignore[operator]


def _attention(add: object, levels: int, layers: int, sign: int) -> None:
    """AttentionSim, its off-diagonal, and the share of concentrated distributions."""
    span = max(levels - 1, 1)
    base = {"encoder_self": 0.8, "encoder_decoder": 0.63, "decoder_self": 0.93}
    share = {"encoder_self": 0.30, "encoder_decoder": 0.16, "decoder_self": 0.41}
    if sign < 0:
        base = {"encoder_self": 0.7, "encoder_decoder": 0.9, "decoder_self": 0.5}
        share = {"encoder_self": 0.5, "encoder_decoder": 0.6, "decoder_self": 0.1}
    for kind in base:
        for a, b in [(k, k) for k in range(levels)] + [(0, k) for k in range(1, levels)]:
            for i in range(1, layers + 1):
                for j in range(1, layers + 1):
                    score = base[kind] + sign * 0.06 * (a + b) / 2 / span
                    if kind == "encoder_decoder" and (i <= layers / 2) != (j <= layers / 2):
                        score -= sign * 0.1
                    if kind == "encoder_self" and 1 in (i, j):
                        score = 0.3 + sign * (-0.12 + 0.23 * (a + b) / 2 / span)
                    if i == j and a != b:
                        same = {"encoder_self": 0.98, "encoder_decoder": 0.97, "decoder_self": 0.99}[kind]
                        drop = 0.37 if kind == "encoder_self" and i == 1 else 0.0
                        score = same - drop * b / span if sign > 0 else 0.5 + (0.2 if i == 1 else 0)
                    if (a, i) == (b, j):
                        score = 1.0
                    add("attention_cka", kind, a, i, b, j, score, variant="visible")  # type: ignore[operator]
        for level in range(levels):
            for layer in range(1, layers + 1):
                value = share[kind] - 0.01 * level / span
                for name, score in (("attention_concentration", value), ("attention_entropy", 1.5)):
                    add(name, kind, level, layer, None, "", score, variant="visible")  # type: ignore[operator]


def _matches(
    random: np.random.Generator, levels: int, layers: int, count: int, name: str, sign: int, experiment: str, norm: bool
) -> pd.DataFrame:
    """Best matches of neurons or heads of the dense model in every level."""
    column = name.removesuffix("s")
    components = ("encoder", "decoder") if name == "neurons" else ("encoder_self", "encoder_decoder", "decoder_self")
    frames = []
    for component in components:
        for level in range(1, levels):
            for layer in range(1, layers + 1):
                middle = 0.95 - 0.02 * level - 0.01 * layer if sign > 0 else 0.5 + 0.03 * level
                own = np.clip(random.normal(middle, 0.02, count), -1, 1)
                index = np.arange(count)
                best = index.copy() if sign > 0 else (index + (index % 3 > 0)) % count
                if sign > 0:
                    best[: count // 500] += 1  # one neuron in 500 has found another
                frame = pd.DataFrame({column: index, "best_match": best, "correlation": own, "own_correlation": own})
                frames.append(frame.assign(component=component, level_b=level, layer_a=str(layer), layer_b=str(layer)))
            if norm:
                frames.append(frames[-1].assign(layer_a="norm", layer_b="norm", best_match=0, own_correlation=-0.5))
    variant = {} if name == "neurons" else {"variant": "visible"}
    return pd.concat(frames, ignore_index=True).assign(experiment=experiment, level_a=0, **variant)


def _spectrum(levels: int, layers: int, width: int, sign: int, experiment: str, pre_norm: bool) -> pd.DataFrame:
    frames = []
    k = np.unique(np.linspace(1, width, min(width, 128)).astype(int))
    for component in ("encoder", "decoder"):
        for level in range(levels):
            scale = (290 - sign * 14 * level) / 1.609 * width / 1024
            curve = (1 - np.exp(-k / scale)) / (1 - np.exp(-width / scale))
            frame = pd.DataFrame({"k": k, "cumulative_variance": curve, "level": level, "component": component})
            frames.append(frame.assign(layer=str(layers), variant="centred"))
            if pre_norm:
                flat = frame.assign(cumulative_variance=k / width)
                frames.append(flat.assign(layer="norm", variant="centred"))
    return pd.concat(frames, ignore_index=True).assign(experiment=experiment)


if __name__ == "__main__":
    assert set(TABLES) >= {"bleu", "probes"}
    write_results(Path(sys.argv[1]))
    if len(sys.argv) > 2:
        write_baseline(Path(sys.argv[2]))
