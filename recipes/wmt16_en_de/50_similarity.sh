#!/usr/bin/env bash
# Compares levels and layers from the dumps: NeuronSim, linear CKA, attention, spectra, groups of tokens.
# A branch is compared among its own levels; LTH0, from which it came, is in the experiment that it branched off.
# Hardware: 16 cores, 8 GB. Time: 2 hours an experiment. Disk: 1 GB.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

for experiment in $(analysed); do
    dumps=()
    for k in $(levels_of "$experiment"); do dumps+=("$(dump "$experiment" "$k")"); done
    run mkdir -p "$state/$experiment/results"
    step "similarity-$experiment" "$experiment: similarity of levels and layers" \
        python -m probing_bridge.run similarity --dumps "${dumps[@]}" --output "$state/$experiment/results" \
        "${SIMILARITY[@]}"
done
