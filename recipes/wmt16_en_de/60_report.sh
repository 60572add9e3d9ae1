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
# again EXPERIMENT FOLDER...: forgets that the page is made if a table in the folders is newer.
again() {
    local made=$state/done/gather-$1
    [ -e "$made" ] || return 0
    [ -z "$(find "${@:2}" -maxdepth 1 -name '*.csv' -newer "$made")" ] || rm -f "$made" "$state/done/report-$1"
}

for experiment in $EXPERIMENTS; do
    step "score-$experiment" "$experiment: ${METRICS[*]}" score "$experiment"
    run_folder=$state/$experiment tables=$state/$experiment/tables
    # A branch shares LTH0 with the experiment it branched off, and is shown beside it; that one, beside the paper.
    if [ "$experiment" = magnitude ]; then
        parent=() beside=(--compare "$tables" paper)
    else
        parent=(--parent "$state/magnitude/tables")
        beside=(--compare "$state/magnitude/tables" "$tables" --allow-mixed)
    fi
    [ -n "$DRY_RUN" ] || again "$experiment" "$run_folder/levels" "$run_folder/results" "${parent[@]:1}"
    step "gather-$experiment" "$experiment: its tables" python recipes/gather.py --levels "$run_folder/levels" \
        --results "$run_folder/results" --output "$tables" "${parent[@]}"
    step "report-$experiment" "$experiment: the page" python -m probing_bridge.run report \
        --results "$tables" --output "$run_folder/report" "${beside[@]}"
done
[ -n "$DRY_RUN" ] && exit
for experiment in $EXPERIMENTS; do
    printf '\n%s\n' "$experiment"
    python recipes/summary.py --results "$state/$experiment/tables"
    echo "page: $state/$experiment/report/index.html"
done
