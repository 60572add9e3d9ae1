#!/usr/bin/env bash
# Scores the translations, gathers the tables of each experiment, and makes the pages.
# Hardware: 2 cores. Time: 5 minutes. Disk: 50 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

score() {  # EXPERIMENT
    local pairs=() k
    for k in $(levels_of "$1"); do pairs+=("$(checkpoint "$1" "$k")=$(translations "$1" "$k")/generate-test.txt"); done
    run mkdir -p "$state/$1/results"
    run python recipes/score.py --reference "$text/$REFERENCE" --test-set "$TEST_SET" --metrics "${METRICS[@]}" \
        --output "$state/$1/results/bleu.csv" "${pairs[@]}"
}
pages=()
for experiment in $EXPERIMENTS; do
    run_folder=$state/$experiment options=()
    step "score-$experiment" "$experiment: ${METRICS[*]}" score "$experiment"
    [ "$experiment" = magnitude ] || options=(--parent "$state/magnitude/tables")
    step "gather-$experiment" "$experiment: its tables" python recipes/gather.py --levels "$run_folder/levels" \
        --results "$run_folder/results" --output "$run_folder/tables" "${options[@]}"
    [ "$experiment" = magnitude ] || options=(--allow-mixed)  # LTH0 was measured in the experiment it branched off
    step "report-$experiment" "$experiment: the page" python -m probing_bridge.run report \
        --results "$run_folder/tables" --output "$run_folder/report" "${options[@]}"
    pages+=("$run_folder/report/index.html")
done
for experiment in $EXPERIMENTS; do
    [ "$experiment" = magnitude ] && continue
    step "compare-$experiment" "magnitude and $experiment side by side" python -m probing_bridge.run report \
        --compare "$state/magnitude/tables" "$state/$experiment/tables" --allow-mixed \
        --output "$state/compare-$experiment"
    pages+=("$state/compare-$experiment/index.html")
done
[ -n "$DRY_RUN" ] && exit
for experiment in $EXPERIMENTS; do
    printf '\n%s\n' "$experiment"
    python recipes/summary.py --results "$state/$experiment/tables"
done
printf 'page: %s\n' "${pages[@]}"
