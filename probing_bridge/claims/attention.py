"""The claims of Section 5.4 and the discussion: attention of levels and layers."""

from __future__ import annotations

from functools import partial

from probing_bridge.claims.judging import CKA, POINTS, Claim, Effect
from probing_bridge.claims.numbers import Numbers
from probing_bridge.claims.per_run import MissingRows, PerRun, mean, trend
from probing_bridge.results.statistics import KEPT, RISES, SAME

_MEASURE = "attention_cka"
_SELF, _CROSS, _DECODER = "encoder_self", "encoder_decoder", "decoder_self"


def sparsest(numbers: Numbers, kind: str) -> int:
    """The sparsest level that was compared with LTH0."""
    return numbers.compared_levels(_MEASURE, kind)[-1]


def to_dense(numbers: Numbers, kind: str, skip_first: bool = False) -> dict[str, PerRun]:
    """Layer -> AttentionSim of the sparsest level with LTH0."""
    level, layers = sparsest(numbers, kind), numbers.numbered(_MEASURE, kind)[skip_first:]
    if not layers:
        raise MissingRows(f"{_MEASURE} of layers above the first, {kind}")
    return {layer: numbers.to_dense(_MEASURE, kind, level, layer) for layer in layers}


def stays(numbers: Numbers, kind: str, skip_first: bool = False, paper: float = 0.0) -> list[Effect]:
    """How far each layer is from the same of LTH0."""
    return [
        Effect(score.less(1.0), f"layer {layer}", paper) for layer, score in to_dense(numbers, kind, skip_first).items()
    ]


def all_stay(numbers: Numbers) -> list[Effect]:
    """How far each kind of attention is from LTH0's, mean over layers."""
    return [Effect(mean(list(to_dense(numbers, kind).values())).less(1.0), kind) for kind in (_SELF, _CROSS, _DECODER)]


def unlike_activations(numbers: Numbers) -> list[Effect]:
    """AttentionSim less LayerSim of the same encoder layers with LTH0."""
    level = sparsest(numbers, _SELF)
    gaps = [
        score - numbers.to_dense("linear_cka", "encoder", level, layer)
        for layer, score in to_dense(numbers, _SELF, True).items()
    ]
    return [Effect(mean(gaps))]


def first_layer_differs(numbers: Numbers) -> list[Effect]:
    """Each other layer less layer 1, similarity with LTH0."""
    first, *others = to_dense(numbers, _SELF).items()
    if not others:
        raise MissingRows("layers above the first")
    return [Effect(score - first[1], f"layer {layer}", 0.35) for layer, score in others]


def first_with_others(numbers: Numbers, level: int) -> PerRun:
    """Mean AttentionSim of layer 1 with the other layers of a level."""
    first, *others = numbers.numbered(_MEASURE, _SELF)
    return numbers.apart(_MEASURE, _SELF, level, [(first, other) for other in others])


def first_becomes_like(numbers: Numbers) -> list[Effect]:
    """Sparsest level less LTH0."""
    return [Effect(first_with_others(numbers, sparsest(numbers, _SELF)) - first_with_others(numbers, 0), paper=0.23)]


def dense_apart(numbers: Numbers, more: tuple[str, ...], less: tuple[str, ...], paper: float) -> list[Effect]:
    """Different layers of LTH0: one kind of attention less another."""
    return [
        Effect(numbers.apart(_MEASURE, a, 0) - numbers.apart(_MEASURE, b, 0), f"{a} v {b}", paper)
        for a in more
        for b in less
    ]


def across_sparsities(numbers: Numbers, more: tuple[str, ...], less: tuple[str, ...]) -> list[Effect]:
    """Similarity with LTH0, mean over the layers above the first: one kind of attention less another."""
    means = {kind: mean(list(to_dense(numbers, kind, skip_first=True).values())) for kind in (*more, *less)}
    return [Effect(means[a] - means[b], f"{a} v {b}") for a in more for b in less]


def cross_halves(numbers: Numbers) -> list[Effect]:
    """Encoder-decoder layers of LTH0: within halves less between them."""
    layers = numbers.numbered(_MEASURE, _CROSS)
    half = max(int(layer) for layer in layers) / 2
    pairs = [(a, b) for a in layers for b in layers if int(a) < int(b)]
    same = [(a, b) for a, b in pairs if (int(a) <= half) == (int(b) <= half)]
    between = [pair for pair in pairs if pair not in same]
    return [Effect(numbers.apart(_MEASURE, _CROSS, 0, same) - numbers.apart(_MEASURE, _CROSS, 0, between))]


def cross_more_alike(numbers: Numbers) -> list[Effect]:
    """Change over levels of the mean similarity of different layers."""
    levels = [0, *numbers.compared_levels(_MEASURE, _CROSS)]
    return [Effect(trend([numbers.apart(_MEASURE, _CROSS, level) for level in levels], levels), paper=0.06)]


def fifth_nearer(numbers: Numbers) -> list[Effect]:
    """Layer L - 1 with the first half: sparsest level less LTH0."""
    layers = numbers.numbered(_MEASURE, _CROSS)
    if len(layers) < 4:
        raise MissingRows("at least four encoder-decoder layers")
    among = [(layer, layers[-2]) for layer in layers[: len(layers) // 2]]
    last = sparsest(numbers, _CROSS)
    return [Effect(numbers.apart(_MEASURE, _CROSS, last, among) - numbers.apart(_MEASURE, _CROSS, 0, among))]


def concentration(numbers: Numbers, kind: str, level: int | None = None) -> PerRun:
    """Mean share of concentrated distributions over layers, in points; by default of the sparsest level."""
    levels = {int(key[2]) for key in numbers.concentration if key[0] == kind}
    if not levels:
        raise MissingRows(f"attention_concentration, {kind}")
    wanted = max(levels) if level is None else level
    shares = [
        number
        for key, number in numbers.concentration.items()
        if (key[0], key[2]) == (kind, wanted) and key[1].isdecimal()
    ]
    return mean(shares, f"attention_concentration, {kind}, LTH{wanted}") * 100.0


def concentrated(numbers: Numbers) -> list[Effect]:
    """Decoder self-attention less each other kind, and encoder self-attention less encoder-decoder attention."""
    pairs = ((_DECODER, _SELF, 10.0), (_DECODER, _CROSS, 24.0), (_SELF, _CROSS, 14.0))
    return [Effect(concentration(numbers, a) - concentration(numbers, b), f"{a} v {b}", paper) for a, b, paper in pairs]


def concentration_unchanged(numbers: Numbers) -> list[Effect]:
    """Decoder self-attention, sparsest level less LTH0."""
    return [Effect(concentration(numbers, _DECODER) - concentration(numbers, _DECODER, 0), paper=-1.0)]


_WITH_DENSE = "AttentionSim with LTH0, sparsest level"
_WITHIN = "mean AttentionSim of different layers"

CLAIMS = (
    Claim("5.4.1", "Unlike the encoder activations, encoder self-attention remains remarkably similar", "–",
          _WITH_DENSE, "less linear CKA of the same encoder layers, mean over layers 2 to L",
          "fig_6_encoder_attention", unlike_activations, RISES, CKA),
    Claim("5.4.1", "For layers 2–6, AttentionSim on the sparse-dense diagonal is very close to 1", "very close to 1",
          _WITH_DENSE, "less 1, each of layers 2 to L; at least 0.9", "fig_6_encoder_attention",
          partial(stays, kind=_SELF, skip_first=True), KEPT, CKA, margin=0.1),
    Claim("5.4.1", "Layer 1 is an anomaly, with sparse and dense attentions differing widely", "0.62", _WITH_DENSE,
          "each other layer less layer 1", "fig_6_encoder_attention", first_layer_differs, RISES, CKA),
    Claim("5.4.1", "The first layer's attention becomes much more similar to its later layers", "0.18 → 0.41",
          "mean AttentionSim of layer 1 with the others", "sparsest level less LTH0", "table_off_diagonal",
          first_becomes_like, RISES, CKA),
    Claim("5.4.2", "Encoder-decoder attention displays more variation across layers",
          "0.63; many above 0.85 in self-attention", _WITHIN,
          "each self-attention less encoder-decoder attention, LTH0", "table_off_diagonal",
          partial(dense_apart, more=(_SELF, _DECODER), less=(_CROSS,), paper=0.2), RISES, CKA),
    Claim("5.4.2", "... and across sparsities (discussion: varies most across sparsities)", "–",
          f"{_WITH_DENSE}, mean over layers 2 to L", "each self-attention less encoder-decoder attention",
          "fig_a8_decoder_attention", partial(across_sparsities, more=(_SELF, _DECODER), less=(_CROSS,)), RISES, CKA),
    Claim("5.4.2", "The first three encoder-decoder layers differ strongly from the last three", "layers 1–3 v 4–6",
          _WITHIN, "within halves less between halves, LTH0", "fig_a8_decoder_attention", cross_halves, RISES, CKA),
    Claim("5.4.2", "Encoder-decoder maps at a given layer remain mostly consistent with the dense model", "mostly",
          _WITH_DENSE, "less 1, each layer; at least 0.9", "fig_a8_decoder_attention", partial(stays, kind=_CROSS),
          KEPT, CKA, margin=0.1),
    Claim("5.4.2", "Encoder-decoder off-diagonal similarities gradually increase with sparsity", "0.63 → 0.69",
          _WITHIN, "fitted change over levels", "table_off_diagonal", cross_more_alike, RISES, CKA),
    Claim("5.4.2", "... particularly with sparse-5 becoming more similar to sparse-1, 2, 3", "–",
          "mean AttentionSim of layer L − 1 with the first half", "sparsest level less LTH0",
          "fig_a8_decoder_attention", fifth_nearer, RISES, CKA),
    Claim("5.4.3", "Decoder self-attention is almost identical to the unpruned", "0.99", _WITH_DENSE,
          "less 1, each layer; at least 0.95", "fig_a8_decoder_attention", partial(stays, kind=_DECODER, paper=-0.01),
          KEPT, CKA, margin=0.05),
    Claim("5.4.3", "... even more so than encoder self- and encoder-decoder attention", "–",
          f"{_WITH_DENSE}, mean over layers 2 to L", "decoder self-attention less each other kind",
          "fig_a8_decoder_attention", partial(across_sparsities, more=(_DECODER,), less=(_SELF, _CROSS)), RISES, CKA),
    Claim("5.4.3",
          "40 % of decoder self-attention puts over 0.95 on one token, 30 % of encoder self-, 16 % of encoder-decoder",
          "40 %, 30 %, 16 %", "share of concentrated distributions, mean over layers",
          "decoder self less each other, encoder self less encoder-decoder, sparsest level", "table_concentration",
          concentrated, RISES, POINTS, margin=2.0),
    Claim("5.4.3", "... 40 % in the sparse model, 41 % in the dense model", "41 % → 40 %",
          "share of concentrated distributions, decoder self-attention", "sparsest level less LTH0",
          "table_concentration", concentration_unchanged, SAME, POINTS, margin=2.0),
    Claim("5.4.3", "Off-diagonal scores in decoder self-attention are significantly higher than in the others", "–",
          _WITHIN, "decoder self-attention less each other kind, LTH0", "table_off_diagonal",
          partial(dense_apart, more=(_DECODER,), less=(_SELF, _CROSS), paper=0.2), RISES, CKA),
    Claim("6", "Sparse models' attention distributions remain largely similar to the dense model's", "–",
          f"{_WITH_DENSE}, mean over layers", "less 1, each kind; at least 0.9", "fig_a8_decoder_attention", all_stay,
          KEPT, CKA, margin=0.1),
)  # fmt: skip
