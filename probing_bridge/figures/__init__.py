"""Every figure and table of Movva & Zhao (2020), drawn from the result tables.

FIGURES maps a file stem to its Figure entry. `FIGURES[name].data(results)` is the tidy frame behind it (the CSV beside
the file) and `FIGURES[name](frame)` draws that frame as a matplotlib Figure, so in a notebook

    results = read_results("results")
    FIGURES["fig_4_neuron_similarity"](FIGURES["fig_4_neuron_similarity"].data(results))

Place in the flow: result tables -> results -> figures -> report. To add a figure: one entry here, and two
functions: its frame in results, its drawing in this package.
"""

from __future__ import annotations

from collections.abc import Callable

import matplotlib.figure
import pandas as pd

from probing_bridge.claims.tasks import tasks_data
from probing_bridge.figures import tables
from probing_bridge.figures.captions import BEST, MARKS, UNINFORMATIVE, above_threshold, attention, chosen_on, final
from probing_bridge.figures.exhibit import LINES, ROWS, Exhibit
from probing_bridge.figures.outputs import (
    draw_damage_path,
    draw_output_groups,
    show_damage,
    show_disagreements,
    show_outputs,
)
from probing_bridge.figures.probing import draw_best, draw_layers, draw_sides
from probing_bridge.figures.pruning import draw_bleu, draw_modules, draw_projections
from probing_bridge.figures.similarity import draw_distribution, draw_groups, draw_pairs, draw_spectrum, draw_to_dense
from probing_bridge.results import beside, exams, levels, outputs, probing, similarity

SECTIONS = {
    "levels": "Levels and translation quality",
    "modules": "Where the weights are pruned",
    "probing": "What probes find",
    "activations": "Similarity of activations",
    "attention": "Similarity of attention",
    "output": "Where damage arrives",
}

_PROBE, _SIMILARITY = "probe --suite SUITE.yaml", "similarity --dumps LTH0.h5 LTH1.h5 ..."
_SENTENCES, _BARS = "Intervals of 95 % are over sentences", "Bars are 95 % intervals over sentences"
_LINEAR, _MLP = {"probe": ("linear",)}, {"probe": ("mlp",)}


def _table(show: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[pd.DataFrame], matplotlib.figure.Figure]:
    """How a table is drawn: as the text it shows."""
    return lambda frame: tables.draw_table(show(frame) if len(frame) else frame)


def _as_table(paper: str, title: str, section: str, show: Callable, **rest: object) -> Exhibit:
    """An entry that is a table."""
    return Exhibit(paper, title, section, show=show, draw=_table(show), **rest)  # type: ignore[arg-type]


FIGURES: dict[str, Exhibit] = {
    "table_a1_levels": _as_table(
        "Table A1", "Sparsity and BLEU of every level", "levels", tables.show_levels, data=levels.levels_data,
        caption="Sparsity as a share of the prunable (non-embedding) and of all weights; score; "
        "by how much each rewind raised the learning rate. A run that branched off a "
        "level has that level's score.",
        interval="Intervals of 95 % are over sentences, where the evaluation gave them",
        source="lth", command="fairseq-train ... --task lth_imp, then fairseq-generate and sacrebleu",
    ),
    "table_bleu_differences": _as_table(
        "beyond the paper", "Paired tests of translations", "levels", tables.show_differences,
        data=levels.differences_data,
        caption="Score of each level less that of LTH0, and less that of the same level of another experiment, on the "
        "same sentences, and as a share of it.",
        interval="p is two-sided, with Holm's correction over the levels; intervals of 95 % are over sentences",
        source="bleu_differences", command="fairseq-generate, then python -m probing_bridge.run score",
    ),
    "fig_bleu_sparsity": Exhibit(
        "Section 3.3", "BLEU against sparsity", "levels", levels.bleu_data, draw_bleu,
        "Test score of each level against its overall sparsity, one line an experiment. One that prunes nothing stands "
        "where the first is at the same level.",
        "bleu", command="fairseq-generate and sacrebleu", wide=False, interval=_BARS, runs=LINES,
        tables=("table_bleu_differences", "table_a1_levels"),
    ),
    "fig_a1_modules": Exhibit(
        "Fig. A1", "Sparsity of each module", "modules", levels.modules_data, draw_modules,
        "Pruned share of each module's weights against that of all prunable weights, one line a layer. Above the "
        "dotted line a module is pruned more than the whole.",
        "lth_modules", command="fairseq-train ... --task lth_imp (lth_modules.csv)", runs=LINES,
    ),
    "fig_a2_projections": Exhibit(
        "Fig. A2", "Sparsity of Wq, Wk, Wv and Wo", "modules", levels.projections_data, draw_projections,
        "Pruned share of the four attention matrices, all layers together, against that of all prunable weights.",
        "lth_modules", command="fairseq-train ... --task lth_imp (lth_modules.csv)", runs=LINES,
    ),
    "fig_1_linear_probes": Exhibit(
        "Fig. 1", "Linear probes: every task, every level", "probing", probing.linear_data, draw_best,
        lambda frame: f"Score at one encoder layer a task, {chosen_on(frame)}, less its mean over the levels and "
        "divided by its standard deviation over them or, where that is larger, by the score's standard error (rows: "
        "sparsity grows downwards). Hatched: not run.",
        "probes", _LINEAR, _PROBE, tables=("table_4_2_trends",),
    ),
    "table_a2_linear_scores": _as_table(
        "Table A2", "Raw scores of the linear probes", "probing", tables.show_scores, data=probing.linear_data,
        caption=lambda frame: f"Score on the test split at one encoder layer a task, {chosen_on(frame)}; ± is the mean "
        "half width of the 95 % intervals. Gain: score less that of layer 0 by the same probe, with its paired "
        "interval, or the widest that both scores' allow where there is none. " + MARKS,
        interval=_SENTENCES, source="probes", where=_LINEAR, command=_PROBE,
    ),
    "table_a2_best_on_test": _as_table(
        "Table A2", "Raw scores of the linear probes, the paper's way", "probing", tables.show_best,
        data=probing.linear_best_data, caption=BEST, source="probes", where=_LINEAR, command=_PROBE,
    ),
    "table_4_2_trends": _as_table(
        "Section 4.2", "Tasks that stay, degrade or improve", "probing", tables.show_trends, data=tasks_data,
        caption="Change of the line fitted over the levels, at one layer a task, with its interval. Tasks that the "
        "paper calls degrading or improving are so where the interval (Holm's steps over them) excludes 0, and p is of "
        "no change. Others are so where the interval lies beyond 1 point, and p is of a change within 1 point (both by "
        "Holm's steps; else the interval is of 95 %). Invariant: the interval lies within 1 point; undecided: none of "
        "these; uninformative: the probe finds no more than at the embeddings.",
        source="probes", where=_LINEAR, command=_PROBE,
    ),
    "table_controls": _as_table(
        "beyond the paper", "Linear probes beside the controls", "probing", tables.show_controls,
        data=beside.probes_data,
        caption=lambda frame: "Score at the sparsest level that a control has too, and how much it is above the "
        f"control's of the same level, at one encoder layer a task, {chosen_on(frame)}. Of one run the intervals are "
        "the widest that both scores' allow; none is corrected for the number of tasks. " + UNINFORMATIVE,
        interval=_SENTENCES, source="probes", where=_LINEAR, command=_PROBE,
    ),
    "fig_2_mlp_probes": Exhibit(
        "Fig. 2", "MLP probes", "probing", probing.mlp_data, draw_best,
        "As Fig. 1, with a probe that has one hidden layer.", "probes", _MLP, _PROBE, wide=False,
        tables=("table_a3_mlp_scores",),
    ),
    "table_a3_mlp_scores": _as_table(
        "Table A3", "Raw scores of the MLP probes", "probing", tables.show_scores, data=probing.mlp_data,
        caption="As Table A2, with a probe that has one hidden layer. " + MARKS, interval=_SENTENCES,
        source="probes", where=_MLP, command=_PROBE,
    ),
    "table_a3_best_on_test": _as_table(
        "Table A3", "Raw scores of the MLP probes, the paper's way", "probing", tables.show_best,
        data=probing.mlp_best_data, caption=BEST, source="probes", where=_MLP, command=_PROBE,
    ),
    "fig_3_layers": Exhibit(
        "Fig. 3", "Syntactic and semantic tasks by layer", "probing", probing.category_data, draw_layers,
        final("Mean over the informative tasks of a category (Table A2) of the z-scores of linear probes, taken per "
        "task over all layers and levels."),
        "probes", _LINEAR, _PROBE,
    ),
    "fig_a3_pos_layers": Exhibit(
        "Fig. A3", "Part-of-speech tagging by layer", "probing", probing.pos_data, draw_layers,
        final("As Fig. 3, for part-of-speech tagging."), "probes", _LINEAR, _PROBE, wide=False,
    ),
    "fig_mdl_selectivity": Exhibit(
        "beyond the paper", "Selectivity and description length beside the score", "probing", probing.sides_data,
        draw_sides,
        "Linear probe at one layer a task: the score, selectivity (score minus that on a control task, "
        "Hewitt & Liang 2019), both in % where at most 1, and compression of the online code (Voita & Titov 2020; "
        "1 = none). "
        "Colour: z-score over the levels of the task.",
        "probes", {"metric": ("selectivity", "mdl_compression")}, _PROBE,
    ),
    "fig_4_neuron_similarity": Exhibit(
        "Fig. 4", "NeuronSim with the dense model", "activations", similarity.neuron_data, draw_to_dense,
        final("Mean over the neurons of a layer of LTH0 of the highest correlation with a neuron of the same layer of "
        "each level."),
        "similarity", {"measure": ("neuron_similarity",)}, _SIMILARITY, interval=_BARS, runs=LINES,
    ),
    "table_own_index": _as_table(
        "Section 5.2", "Neurons and heads that keep their own index", "activations", tables.show_own_index,
        data=similarity.own_index_data,
        caption="Share of the neurons (attention heads) of LTH0 whose best match in the same layer of a level is the "
        "one of their own index; all layers: 1 to L.",
        source="neurons", command=_SIMILARITY,
    ),
    "fig_a4_neuron_distribution": Exhibit(
        "Fig. A4", "Distribution of neuron correlations", "activations", similarity.distribution_data,
        draw_distribution,
        final("Neurons by their correlation with the same neuron of LTH0, lowest and final layer, bins of 0.025."),
        "neurons", command=_SIMILARITY,
    ),
    "fig_5_encoder_layers": Exhibit(
        "Fig. 5", "LayerSim in the encoder", "activations", similarity.encoder_pairs_data, draw_pairs,
        final("Linear CKA of every two layers within the dense model, within the sparsest, and between the two."),
        "similarity", {"measure": ("linear_cka",), "component": ("encoder",), "group": ("",)}, _SIMILARITY,
        by_level=True,
    ),
    "fig_a5_layers_to_dense": Exhibit(
        "Fig. A5", "LayerSim with the dense model", "activations", similarity.cka_data, draw_to_dense,
        final("Linear CKA of each layer with the same layer of LTH0."),
        "similarity", {"measure": ("linear_cka",), "group": ("",)}, _SIMILARITY, interval=_BARS, runs=LINES,
    ),
    "fig_a6_decoder_layers": Exhibit(
        "Fig. A6", "LayerSim in the decoder", "activations", similarity.decoder_pairs_data, draw_pairs,
        final("As Fig. 5, for the decoder."),
        "similarity", {"measure": ("linear_cka",), "component": ("decoder",), "group": ("",)}, _SIMILARITY,
        by_level=True,
    ),
    "fig_a7_spectrum": Exhibit(
        "Fig. A7", "Variance in the first k directions", "activations", similarity.spectrum_data, draw_spectrum,
        final("Cumulative variance of the final encoder and decoder layer over its principal directions; "
        "dotted: 80 %."),
        "spectrum", command=_SIMILARITY, runs=LINES,
    ),
    "fig_groups": Exhibit(
        "Section 5.3", "Dense against sparse by group of tokens", "activations", similarity.groups_data,
        draw_groups,
        final("Linear CKA, debiased, of the final encoder layer of LTH0 and of the sparsest level, over the tokens of "
        "one group."),
        "similarity", {"measure": ("linear_cka",), "component": ("encoder",)}, _SIMILARITY, interval=_BARS,
    ),
    "table_exams": _as_table(
        "beyond the paper", "Exams of the measures", "activations", tables.show_exams, data=exams.marks_data,
        caption="How measures of layers do where the right answer is known, from 0 to 1 = all right, on small models "
        "(ours): whether the most similar layer of another seed's model is of equal depth (chance 0.17), whether of "
        "three layers the outer two are the least similar (chance 0.33), whether more added noise is less similar "
        "(chance 0.5), and how far shuffled tokens are from being similar. docs/measures.md has all measures.",
        source="similarity", where={"component": ("encoder", "decoder"), "group": ("",)},
        command="python -m benchmarks.exams",
    ),
    "fig_6_encoder_attention": Exhibit(
        "Fig. 6", "AttentionSim in encoder self-attention", "attention", similarity.encoder_attention_data,
        draw_pairs,
        attention("Linear CKA over pairs of positions with heads as features: within the dense model, within the "
        "sparsest, and between the two."),
        "similarity", {"measure": ("attention_cka",), "component": ("encoder_self",)}, _SIMILARITY,
        by_level=True,
    ),
    "fig_a8_decoder_attention": Exhibit(
        "Fig. A8", "AttentionSim in the decoder", "attention", similarity.decoder_attention_data, draw_pairs,
        attention("As Fig. 6, for encoder-decoder attention (above) and decoder self-attention (below)."),
        "similarity", {"measure": ("attention_cka",), "component": ("encoder_decoder", "decoder_self")}, _SIMILARITY,
        by_level=True,
    ),
    "table_off_diagonal": _as_table(
        "Section 5.4", "AttentionSim of different layers", "attention", tables.show_off_diagonal,
        data=similarity.off_diagonal_data,
        caption=attention("Mean linear CKA of the attention of different layers of one level: of all pairs of layers, "
        "and of each layer with all others."),
        source="similarity", where={"measure": ("attention_cka",)}, command=_SIMILARITY,
    ),
    "table_concentration": _as_table(
        "Section 5.4.3", "Concentrated attention", "attention", tables.show_concentration,
        data=similarity.concentration_data,
        caption=above_threshold,
        source="similarity", where={"measure": ("attention_concentration",)}, command=_SIMILARITY,
    ),
    "fig_damage_path": Exhibit(
        "beyond the paper", "From embeddings to translations", "output", outputs.damage_path_data, draw_damage_path,
        "How far each level is from LTH0, in the order of computation; every panel has its own axis and unit. Layers: "
        "1 − linear CKA with the same layer of LTH0, on the same tokens; states before the softmax: the decoder's "
        "last layer or norm. Probabilities: Jensen-Shannon divergence of the output, lower bound, with a bar up to the "
        "end of the upper one's interval. Translations: BLEU of LTH0 less that of the level.",
        "similarity", {"measure": ("linear_cka", "js_divergence"), "group": ("",)}, _SIMILARITY,
        interval="Other bars (of layers: about corpora of this size) are 95 % intervals over sentences", runs=LINES,
    ),
    "table_damage": _as_table(
        "beyond the paper", "From embeddings to translations, beside the controls", "output", show_damage,
        data=beside.damage_data,
        caption="How far the sparsest level is from LTH0 at each stage, means over layers, as far as each control's "
        "level of the same number is, and how much further. In brackets: 95 % intervals over runs by t; one run has "
        "none.",
        source="similarity", where={"measure": ("linear_cka", "attention_cka", "js_divergence"), "group": ("",)},
        command=_SIMILARITY,
    ),
    "table_outputs": _as_table(
        "beyond the paper", "Output distributions of every level", "output", show_outputs, data=outputs.outputs_data,
        caption="Under teacher forcing, means over target tokens. Divergences to LTH0 lie between the two bounds that "
        "the K best tokens of `--dump-output K` give; the Kullback-Leibler divergence is that of the level from LTH0. "
        "Calibration error: of the best token, 15 bins; its interval is about corpora of this size, the others' about "
        "the population.",
        interval=_SENTENCES, source="similarity", where={"component": ("output",), "group": ("",)},
        command=_SIMILARITY,
    ),
    "fig_output_groups": Exhibit(
        "beyond the paper", "Divergence by position and frequency", "output", outputs.output_groups_data,
        draw_output_groups,
        "Jensen-Shannon divergence of the output to LTH0, lower bound, by position of the target token and by "
        "frequency rank of the gold one (0-5: the five most frequent). Bars run from the low end of the lower bound's "
        "interval to the high end of the upper bound's.",
        "similarity", {"measure": ("js_divergence",)}, _SIMILARITY, interval=_SENTENCES, runs=LINES,
    ),
    "table_disagreements": _as_table(
        "beyond the paper", "Where the sparsest level differs most", "output", show_disagreements,
        data=outputs.disagreements_data,
        caption="Sentences (means over their tokens), then single target tokens, with the largest lower bound of the "
        "Jensen-Shannon divergence to LTH0; sentences and tokens are counted from 0; probabilities are those of the "
        "gold token. The CSV has more rows, and the sources.",
        source="disagreements", command=_SIMILARITY, runs=ROWS,
    ),
}  # fmt: skip
