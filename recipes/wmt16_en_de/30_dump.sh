#!/usr/bin/env bash
# Dumps what every level computes on the validation set: all layers for every token, attention of every head, and the
# most probable tokens at each target position.
# Hardware: 1 GPU. Time: 5 minutes a level. Disk: 8 GB a level (float32), kept for 50_similarity.sh.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

for experiment in $(analysed); do
    run mkdir -p "$state/$experiment/dumps"
    for k in $(levels_of "$experiment"); do
        step "dump-$experiment-$k" "LTH$k of $experiment: dump layers, attention and output" \
            fairseq-validate "$data" --user-dir fairseq_lth --task lth_imp --path "$(checkpoint "$experiment" "$k")" \
            --valid-subset valid "${DUMP[@]}" "${DEVICE[@]}" --dump-output "$OUTPUT_K" \
            --dump-activations "$(dump "$experiment" "$k")"
    done
done
