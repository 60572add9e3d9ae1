#!/usr/bin/env bash
# Probes every level: encodes the words of the 18 corpora, trains the probes, deletes the encoding, level by level.
# Linear probes for all tasks, MLP probes (at MLP_LEVELS, if given) for MLP_TASKS: the five that the paper found to vary.
# Hardware: 1 GPU for the encoding, 16 cores for the probes. Time: 2 hours a level. Disk: 145 GB while a level is probed
# (nine levels at once would be 1.3 TB), 20 MB afterwards.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

# take_dense FOLDER: the finished probes of LTH0, with which a branch's levels are compared, if there are any.
take_dense() {
    local dense
    for dense in "$state"/magnitude/results/probes.parts/*/lth0; do
        [ -d "$dense" ] || continue
        run mkdir -p "$1/$(basename "$(dirname "$dense")")"
        run cp -ru "$dense" "$1/$(basename "$(dirname "$dense")")/"  # what is there may be being read
    done
}
probes() {  # EXPERIMENT LEVEL
    local results=$state/$1/results reps=$state/$1/reps/lth$2.hdf5
    run mkdir -p "$results" "$(dirname "$reps")"
    [ "$1" = magnitude ] || take_dense "$results/probes.parts"
    run python -m fairseq_lth.encode --path "$(checkpoint "$1" "$2")" --sentences "$state/sentences/sentences.txt" \
        --output "$reps" "${words[@]}" "${DEVICE[@]}"
    run python -m probing_bridge.run probe "${suite[@]}" --reps "$reps" \
        --output "$results" "${PROBE[@]}"
    if [ ${#MLP_TASKS[@]} -gt 0 ] && [[ " ${MLP_LEVELS:-$2} " = *" $2 "* ]]; then
        run python -m probing_bridge.run probe "${suite[@]}" --reps "$reps" \
            --output "$results" --probes mlp --tasks "${MLP_TASKS[@]}" "${MLP_PROBE[@]}"
    fi
    run rm -f "$reps" "${reps%.hdf5}".shard*-of-*.hdf5  # of several GPUs
}
for experiment in $(analysed); do
    for k in $(probed_levels "$experiment"); do
        step "probe-$experiment-$k" "LTH$k of $experiment: encode, probe, delete" probes "$experiment" "$k"
    done
done
