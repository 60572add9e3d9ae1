#!/usr/bin/env bash
# Scores the translations, gathers the tables of each experiment, and makes the pages.
# Hardware: 2 cores. Time: 5 minutes. Disk: 50 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

translated() {  # EXPERIMENT SUBSET: its levels, each with its translations
    local k
    for k in $(levels_of "$1"); do echo "$(checkpoint "$1" "$k")=$(translations "$1" "$k")/generate-$2.txt"; done
}
score() {  # EXPERIMENT; a branch is also tested against the experiment it branched off
    local number subset pairs against
    for number in "${!TEST_SET[@]}"; do
        subset=$(test_subset "$number") against=()
        mapfile -t pairs < <(translated "$1" "$subset")
        if [ "$1" != magnitude ]; then mapfile -t against < <(echo --against; translated magnitude "$subset"); fi
        run python -m probing_bridge.run score --reference "$text/${REFERENCE[number]}" --test-set "${TEST_SET[number]}" \
            --metrics "${METRICS[@]}" --output "$state/$1/results" "${pairs[@]}" "${against[@]}"
    done
}
# What training recorded and the tables of the analysis in one folder, and in another with the parent's rows of level 0.
gather() {  # EXPERIMENT [--parent TABLES]
    run cp "$state/$1/levels/lth.csv" "$state/$1/levels/lth_modules.csv" "$state/$1/results/"
    run python -m probing_bridge.run gather --results "$state/$1/results" --output "$state/$1/tables" "${@:2}"
}

baselines=() beside_it=()
for experiment in $EXPERIMENTS; do
    step "score-$experiment" "$experiment: ${METRICS[*]}" score "$experiment"
    results=$state/$experiment/results parent=()
    if [ "$experiment" != magnitude ]; then
        parent=(--parent "$state/magnitude/tables")
        baselines+=("$state/$experiment/tables") beside_it+=(--baseline "$state/$experiment/tables")
    fi
    again "gather-$experiment" "$state/$experiment/levels" "$results" "${parent[@]:1}"
    step "gather-$experiment" "$experiment: its tables" gather "$experiment" "${parent[@]}"
done
for experiment in $EXPERIMENTS; do
    tables=$state/$experiment/tables
    # A branch shares LTH0 with the experiment it branched off, and is compared with it; that one, with the paper. Each
    # page has the translation quality of the other.
    if [ "$experiment" = magnitude ]; then
        newer=("$tables" "${baselines[@]}")
        beside=("${beside_it[@]}" --compare "$tables" paper)
    else
        newer=("$tables" "$state/magnitude/tables")
        beside=(--baseline "$state/magnitude/tables" --compare "$state/magnitude/tables" "$tables")
    fi
    again "report-$experiment" "${newer[@]}"
    step "report-$experiment" "$experiment: the page" python -m probing_bridge.run report \
        --results "$tables" --output "$state/$experiment/report" "${beside[@]}"
done
[ -n "$DRY_RUN" ] && exit
for experiment in $EXPERIMENTS; do
    printf '\n%s\n' "$experiment"
    python -m probing_bridge.run summary --results "$state/$experiment/tables"
    echo "page: $state/$experiment/report/index.html"
done
