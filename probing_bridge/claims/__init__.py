"""The checkable statements of Movva & Zhao (2020), Sections 3.2 to 5.4, each with its test on the result tables.

A claim is one entry of CLAIMS: what the paper says, its number, the rule in words, the figure to look at and a small
function Results -> Judgement. Numbers of "the sparsest level" are those of the highest level that has the rows.
The tests stand in pruning, probing and similarity of this package, in the paper's order.
Place in the flow: results, judging -> claims -> report.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd

from probing_bridge.claims import probing, pruning, similarity
from probing_bridge.claims.judging import NOT_RUN, Judgement, MissingRows, frame_trend
from probing_bridge.corpora.tasks import POS, SYNTACTIC
from probing_bridge.results.folder import Results


@dataclass(frozen=True)
class Claim:
    """One statement of the paper.

    Attributes:
        section: Where it stands.
        statement: What the paper says.
        paper: The paper's number.
        rule: The test in words.
        figure: Key of FIGURES to look at.
        test: Results -> Judgement; raises MissingRows where rows are missing.
    """

    section: str
    statement: str
    paper: str
    rule: str
    figure: str
    test: Callable[[Results], Judgement]


def judge(claim: Claim, results: Results) -> Judgement:
    """The verdict on one claim; `not run` names the rows that are missing."""
    try:
        return claim.test(results)
    except MissingRows as missing:
        return Judgement(NOT_RUN, detail=f"needs {missing}")


def claims_table(judgements: Sequence[tuple[Claim, Judgement]]) -> pd.DataFrame:
    """Claims and verdicts as texts.

    Args:
        judgements: Claims with what `judge` said.

    Returns:
        section, claim, paper (its number), ours, verdict, rule, detail, figure; a row a claim.
    """
    rows = [
        (claim.section, claim.statement, claim.paper, found.ours, found.verdict, claim.rule, found.detail, claim.figure)
        for claim, found in judgements
    ]
    columns = ["section", "claim", "paper", "ours", "verdict", "rule", "detail", "figure"]
    return pd.DataFrame(rows, columns=columns)


def _one_sided(what: str) -> str:
    return f"Kendall's τ of {what}, one-sided, p < 0.05"


_TASK_RULE = "Kendall's τ of the best layer's score over levels, one-sided, Holm over the tasks, p < 0.05"
_BOTH = ("encoder", "decoder")

CLAIMS: tuple[Claim, ...] = (
    Claim("3.2", "Magnitude pruning keeps more BLEU than random pruning", "Table A1 (an image)",
          "BLEU of the sparsest level both have, paired test p < 0.05 (not run: intervals apart), sparsities within 1 "
          "point", "fig_bleu_sparsity", pruning.beats_random),
    Claim("3.3", "At 66 % overall sparsity over 99 % of BLEU is kept", "0.994 (27.61 of 27.77)",
          "BLEU of the level within 5 points of 66.4 % over that of LTH0, at least 0.99", "fig_bleu_sparsity",
          pruning.bleu_kept),
    Claim("3.3", "Beyond that, BLEU drops more rapidly", "0.4 BLEU in one pruning",
          "drop of the last pruning above the mean of those before, beyond 66.4 % overall", "fig_bleu_sparsity",
          pruning.bleu_last_drop),
    Claim("3.4", "Later layers have sparser fully connected weights", "up to 25 % sparser",
          _one_sided("FC sparsity over layers, sparsest level; both stacks"), "fig_a1_modules",
          partial(pruning.layers_trend, kind="fc", components=_BOTH, up=True)),
    Claim("3.4", "The last decoder layer's FC weights are sparser than the first's", "as much as 25 %",
          "difference above 0 at every pruned level", "fig_a1_modules", pruning.fc_gap),
    Claim("3.4", "Of the self-attention layers, layer 1 is pruned most, above all at low sparsity", "layer 1",
          "layer 1 has the highest sparsity at LTH1; both stacks", "fig_a1_modules",
          partial(pruning.self_attention_rank, first=True)),
    Claim("3.4", "The last self-attention layer is pruned next most", "layer 6",
          "the last layer ranks second at LTH1; both stacks", "fig_a1_modules",
          partial(pruning.self_attention_rank, first=False)),
    Claim("3.4", "Encoder-decoder attention is pruned least of all modules", "55 % where all are 79 %",
          "lowest sparsity of the five kinds of module, sparsest level", "fig_a1_modules", pruning.cross_least),
    Claim("3.4", "Late encoder-decoder attention is pruned slightly less than early", "–",
          _one_sided("its sparsity over layers, sparsest level"), "fig_a1_modules",
          partial(pruning.layers_trend, kind="encoder_decoder", components=("decoder",), up=False)),
    Claim("3.4", "Wv and Wo are sparser than Wq and Wk in all attention types", "25 % sparser",
          "each of Wv, Wo above each of Wq, Wk, sparsest level; all three types", "fig_a2_projections",
          pruning.values_outputs),
    Claim("4.2", "Ten tasks do not depend on sparsity (POS, CCG, ancestors, Chunk, Conj, arc classification, ST)",
          "10 tasks", "no task of the ten has a trend (Kendall, two-sided, Holm over them, p < 0.05)",
          "table_4_2_trends", probing.invariant),
    Claim("4.2", "PS-Fxn degrades with sparsity", "0.858 → 0.828 (interim)", _TASK_RULE, "fig_1_linear_probes",
          partial(probing.task, task="ps_fxn", up=False)),
    Claim("4.2", "PS-Role degrades with sparsity", "0.740 → 0.721 (interim)", _TASK_RULE, "fig_1_linear_probes",
          partial(probing.task, task="ps_role", up=False)),
    Claim("4.2", "Coreference degrades with sparsity", "0.772 → 0.749 (interim)", _TASK_RULE, "fig_1_linear_probes",
          partial(probing.task, task="coref", up=False)),
    Claim("4.2", "Syntactic arc prediction improves with sparsity", "0.905 → 0.921 (interim)", _TASK_RULE,
          "fig_1_linear_probes", partial(probing.task, task="syn_arc_prediction", up=True)),
    Claim("4.2", "Semantic arc prediction improves with sparsity", "0.892 → 0.917 (interim)", _TASK_RULE,
          "fig_1_linear_probes", partial(probing.task, task="sem_arc_prediction", up=True)),
    Claim("4.2", "Arc prediction scores below arc classification", "0.905 v 0.956; 0.892 v 0.928 (interim)",
          "means over levels, intervals apart; syntactic and semantic", "table_a2_linear_scores",
          probing.prediction_below),
    Claim("4.3", "MLP probes score higher than linear ones across the board", "–",
          "each task's mean difference over levels above 0", "table_a3_mlp_scores", probing.mlp_higher),
    Claim("4.3", "With an MLP, arc prediction no longer improves with sparsity", "no trend",
          "no trend in either (Kendall, two-sided, Holm, p < 0.05)", "fig_2_mlp_probes", probing.mlp_no_gain),
    Claim("4.3", "An MLP does not rescue PS-Fxn, PS-Role and Coref", "nearly as linear",
          f"{_TASK_RULE}; all three", "fig_2_mlp_probes", probing.mlp_degrading),
    Claim("4.4", "The final layer always probes best", "always",
          "no layer has an interval above the final one's, in any task and level", "fig_3_layers", probing.final_best),
    Claim("4.4", "Layers below the last encode syntax better as sparsity grows", "layers 1–5",
          _one_sided("their mean z over levels"), "fig_3_layers", partial(probing.early_rises, category=SYNTACTIC)),
    Claim("4.4", "In the last layer, syntax is equal across sparsities", "no trend",
          "no trend of its mean z over levels (Kendall, two-sided, p < 0.05)", "fig_3_layers", probing.late_equal),
    Claim("4.4", "POS tagging shows the same in the layers below the last", "layers 1–5",
          _one_sided("their mean z over levels"), "fig_a3_pos_layers",
          partial(probing.early_rises, category=POS)),
    Claim("4.4", "In the final layers dense models are better at semantic tasks", "–",
          _one_sided("the final layer's mean z over levels"), "fig_3_layers", probing.late_semantic),
    Claim("5.2", "Nearly all neurons of LTH0 have their own index as best match in the sparsest level", "99.8 %",
          "share over encoder and decoder layers, at least 0.99", "table_own_index", similarity.own_index),
    Claim("5.2", "NeuronSim with LTH0 drops steadily with sparsity", "decoder layer 1: 0.82, layer 6: 0.71 at LTH8",
          _one_sided("the mean over layers, over levels; both stacks"), "fig_4_neuron_similarity",
          partial(similarity.diverges, measure="neuron_similarity")),
    Claim("5.2", "Neurons of higher layers diverge more", "0.82 → 0.71 over the decoder's layers",
          _one_sided("NeuronSim with LTH0 over layers, sparsest level; both stacks"), "fig_4_neuron_similarity",
          partial(similarity.height, measure="neuron_similarity", components=_BOTH)),
    Claim("5.2", "All neurons become less similar, not some", "all",
          "share of neurons less correlated with LTH0 at the sparsest level than at LTH1, at least 0.95",
          "fig_a4_neuron_distribution", similarity.all_neurons),
    Claim("5.2", "LayerSim with LTH0 decreases with sparsity", "–",
          _one_sided("the mean linear CKA over layers, over levels; both stacks"), "fig_a5_layers_to_dense",
          partial(similarity.diverges, measure="linear_cka")),
    Claim("5.2", "Higher encoder layers diverge most", "–",
          _one_sided("linear CKA with LTH0 over encoder layers, sparsest level"), "fig_5_encoder_layers",
          partial(similarity.height, measure="linear_cka", components=("encoder",))),
    Claim("5.2", "The decoder's last layer is closer to LTH0 than the one below", "consistently",
          "linear CKA with LTH0, final layer above layer L − 1 at every level", "fig_a5_layers_to_dense",
          similarity.decoder_top),
    Claim("5.2", "Decoder layers differ more from each other than encoder layers", "–",
          "mean linear CKA of different layers within LTH0", "fig_a6_decoder_layers", similarity.decoder_apart),
    Claim("5.2", "Early layers move towards the final one as sparsity grows",
          "encoder 2–6: 0.67 → 0.74; decoder 4–6: 0.80 → 0.92",
          _one_sided("mean linear CKA of layers 1 to L − 1 with the final one, over levels; both stacks"),
          "fig_5_encoder_layers", similarity.early_closer),
    Claim("5.2", "Early sparse decoder layers are often closer to the dense final layer than dense ones are",
          "2–6: 0.55 v 0.49",
          "linear CKA with LTH0's final layer above LTH0's own for more than half of layers 1 to L − 1",
          "fig_a6_decoder_layers", similarity.sparse_to_dense_final),
    Claim("5.3", "Fewer directions hold 80 % of the final layers' variance as sparsity grows",
          "encoder 290 → 176, decoder 283 → 139", _one_sided("k over levels; both stacks"), "fig_a7_spectrum",
          similarity.spectrum),
    Claim("5.3", "Mid-frequency tokens (rank 100–500) are most alike; common and rare ones less", "0.95 v 0.87, 0.87",
          "linear CKA dense v sparsest, final encoder layer: bin from 100 above those from 0 and from 2500 on",
          "fig_groups", partial(similarity.groups, kind="frequency", high=lambda g: similarity.rank(g) == 100,
                                low=lambda g: similarity.rank(g) == 0 or similarity.rank(g) >= 2500)),
    Claim("5.3", "Conjunctions and superlatives are most alike; names, particles, possessives and periods least",
          "0.98, 0.97 v 0.85, 0.86, 0.79, 0.84", "linear CKA of CC and JJS above each of NNP, RP, POS and the period",
          "fig_groups", partial(similarity.groups, kind="pos", high=lambda g: g in ("CC", "JJS"),
                                low=lambda g: g in ("NNP", "RP", "POS", "."))),
    Claim("5.4.1", "Encoder self-attention of layers 2 to L stays nearly the same", "very close to 1",
          "lowest linear CKA with LTH0 of those layers, sparsest level, at least 0.9", "fig_6_encoder_attention",
          partial(similarity.attention_stays, kind="encoder_self", bound=0.9, skip_first=True)),
    Claim("5.4.1", "Layer 1 of encoder self-attention is the exception", "0.62",
          "linear CKA of layer 1 with LTH0 below that of every other layer, sparsest level", "fig_6_encoder_attention",
          similarity.first_layer_differs),
    Claim("5.4.1", "Layer 1's attention becomes more like that of later layers", "0.18 → 0.41",
          _one_sided("its mean linear CKA with the other layers, over levels"), "table_off_diagonal",
          lambda r: frame_trend(similarity.off_diagonal(r, "encoder_self", "1"), True, "encoder_self")),
    Claim("5.4.2", "Encoder-decoder attention varies most between layers", "0.63; many above 0.85 in self-attention",
          "mean linear CKA of different layers within LTH0 below that of both self-attentions", "table_off_diagonal",
          similarity.cross_varies),
    Claim("5.4.2", "The first half of encoder-decoder layers differs from the second", "layers 1–3 v 4–6",
          "mean linear CKA within LTH0: within halves above between halves", "fig_a8_decoder_attention",
          similarity.cross_halves),
    Claim("5.4.2", "Encoder-decoder layers become more alike with sparsity", "0.63 → 0.69",
          _one_sided("mean linear CKA of different layers, over levels"), "table_off_diagonal",
          lambda r: frame_trend(similarity.off_diagonal(r, "encoder_decoder"), True, "encoder_decoder")),
    Claim("5.4.3", "Decoder self-attention is almost identical to that of LTH0", "0.99",
          "lowest linear CKA with LTH0 over layers, sparsest level, at least 0.95", "fig_a8_decoder_attention",
          partial(similarity.attention_stays, kind="decoder_self", bound=0.95, skip_first=False)),
    Claim("5.4.3", "Decoder self-attention is the most concentrated, encoder-decoder attention the least",
          "40 %, 30 %, 16 %", "mean share over layers, sparsest level: decoder self > encoder self > encoder-decoder",
          "table_concentration", similarity.concentrated),
    Claim("5.4.3", "Decoder self-attention is the most alike across layers", "–",
          "mean linear CKA of different layers within LTH0 above that of both others", "table_off_diagonal",
          similarity.decoder_self_homogeneous),
)  # fmt: skip
