#!/usr/bin/env bash
# Translates the test sets with every level: one checkpoint, beam 4, length penalty 0.6. 60_report.sh scores them.
# Hardware: 1 GPU. Time: 3 minutes a level. Disk: 2 MB a level.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

for experiment in $EXPERIMENTS; do
    for k in $(levels_of "$experiment"); do
        for number in "${!TEST_SET[@]}"; do
            subset=$(test_subset "$number") again=
            [ "$number" = 0 ] || again=-$subset
            step "generate-$experiment-$k$again" "LTH$k of $experiment: translate ${TEST_SET[number]}" \
                fairseq-generate "$data" -s "$SOURCE" -t "$TARGET" --user-dir fairseq_lth \
                --path "$(checkpoint "$experiment" "$k")" --gen-subset "$subset" "${GENERATE[@]}" "${DEVICE[@]}" "${words[@]}" \
                "${joined[@]}" --results-path "$(translations "$experiment" "$k")"
        done
    done
done
