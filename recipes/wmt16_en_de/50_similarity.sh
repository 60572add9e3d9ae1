#!/usr/bin/env bash
# Compares levels and layers from the dumps: NeuronSim, linear CKA, attention, spectra, and groups of tokens by frequency,
# part of speech and semantic tag.
# A branch is compared with the LTH0 that it came from, if that is analysed too, and among its own levels.
# Hardware: 16 cores, 8 GB. Time: 2 hours an experiment. Disk: 1 GB.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

groups=()
for task in "${TAGS[@]}"; do groups+=("$task=$state/tags/$task.txt"); done
for experiment in $(analysed); do
    dumps=()
    if [ "$experiment" != magnitude ] && [[ " $ANALYSED " = *" magnitude "* ]]; then dumps=("$(dump magnitude 0)"); fi
    for k in $(levels_of "$experiment"); do dumps+=("$(dump "$experiment" "$k")"); done
    for task in "${TAGS[@]}"; do
        step "tags-$task" "$task of the dumped words" python -m probing_bridge.run tags --dump "${dumps[0]}" "${suite[@]}" \
            --task "$task" --output "$state/tags/$task.txt"
    done
    run mkdir -p "$state/$experiment/results"
    step "similarity-$experiment" "$experiment: similarity of levels and layers" \
        python -m probing_bridge.run similarity --dumps "${dumps[@]}" --output "$state/$experiment/results" \
        ${groups[0]:+--tags "${groups[@]}"} "${SIMILARITY[@]}"
done
