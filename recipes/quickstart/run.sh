#!/usr/bin/env bash
# From plain text to the report: `make quickstart`. Two CPU cores, about a quarter of an hour, 1 GB of disk.
#   STATE=DIR      where everything goes (default: recipes/quickstart/state)
#   CORPUS=PREFIX  train on PREFIX.en and PREFIX.de instead of the LibreOffice help texts
# Run it again after an interruption: what is finished is not done again.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=recipes/quickstart
# shellcheck source=recipes/quickstart/config.sh
source "${CONFIG:-$here/config.sh}"
state=${STATE:-$here/state}
mkdir -p "$state/done" "$state/log"
source recipes/steps.sh

if [ "${CORPUS-}" != "$(cat "$state/corpus" 2>/dev/null)" ] && [ -e "$state/done/pairs" ]; then
    refuse "$state was made with CORPUS='$(cat "$state/corpus")', not '${CORPUS-}': name another folder with STATE=DIR"
fi
echo "${CORPUS-}" > "$state/corpus"

text=$state/text data=$state/data levels=$state/levels results=$state/results
mkdir -p "$state/reps" "$state/dumps" "$results"
all_levels=$(seq 0 "$ITERATIONS")

# 1. Text: pairs to train on, words to probe with.
step pairs "English-German pairs" python $here/data.py pairs --state "$state" ${CORPUS:+--corpus "$CORPUS"}
step treebank "English Web Treebank" python $here/data.py treebank --state "$state"

# 2. Moses tokens, one joined BPE, fairseq's binary format.
step binarise "tokens, BPE and fairseq's binary format" \
    bash recipes/binarise.sh "$text" en de subword_nmt "$BPE_SIZE" "$data" moses
bpe=(--tokenizer moses --bpe subword_nmt --bpe-codes "$data/codes")

# 3. Train, then prune, rewind and retrain: LTH0 .. LTHk in one process.
step train "$EPOCHS dense epochs, then $ITERATIONS x (prune 20 %, retrain $((EPOCHS - REWIND)))" \
    fairseq-train "$data" --user-dir fairseq_lth --task lth_imp -s en -t de "${MODEL[@]}" "${OPTIMISATION[@]}" \
    --max-epoch "$EPOCHS" --imp-rewind-epoch "$REWIND" --imp-iterations "$ITERATIONS" --imp-rate 0.2 \
    --no-epoch-checkpoints --save-dir "$levels" --cpu --log-format simple --log-interval 100

# 4. What each level translates and computes, on a core each.
translate() {
    for k in $all_levels; do
        # fairseq 0.12.3 drops a last batch of fewer than 8 sentences unless the multiple is 1.
        step "generate$k" "LTH$k: translate the test set" \
            fairseq-generate "$data" -s en -t de --user-dir fairseq_lth --path "$levels/checkpoint_lth$k.pt" --beam 4 \
            --lenpen 0.6 --max-tokens 8000 --required-batch-size-multiple 1 --cpu "${bpe[@]}" \
            --results-path "$state/translations/lth$k"
    done
}
compute() {
    step sentences "sentences to encode" \
        python -m probing_bridge.run sentences --suite "$state/treebank/suite.yaml" --output "$state/sentences"
    for k in $all_levels; do
        local level=$levels/checkpoint_lth$k.pt
        step "dump$k" "LTH$k: dump layers and attention" \
            fairseq-validate "$data" --user-dir fairseq_lth --task lth_imp --path "$level" --valid-subset valid \
            --max-tokens 4000 --cpu --dump-output 16 --dump-activations "$state/dumps/lth$k.h5"
        step "encode$k" "LTH$k: one vector a word and layer" \
            python -m fairseq_lth.encode --path "$level" --sentences "$state/sentences/sentences.txt" \
            --output "$state/reps/lth$k.hdf5" "${bpe[@]}"
    done
}
printed=$(mktemp)  # shown when the other core's steps have been
OMP_NUM_THREADS=1 translate > "$printed" &
status=0
(OMP_NUM_THREADS=1 compute) || status=$?
wait $! || status=$?
cat "$printed"
rm -f "$printed"
[ "$status" = 0 ] || exit "$status"

# 5. Score, probe, compare, show.
score() {
    cp "$levels/lth.csv" "$levels/lth_modules.csv" "$results/"
    local pairs=() k
    for k in $all_levels; do pairs+=("$levels/checkpoint_lth$k.pt=$state/translations/lth$k/generate-test.txt"); done
    python -m probing_bridge.run score --reference "$text/test.de" --test-set test --metrics sacrebleu \
        --output "$results" "${pairs[@]}"
}
step score "sacrebleu" score
step probe "linear probes" \
    python -m probing_bridge.run probe --suite "$state/treebank/suite.yaml" --reps "$state"/reps/lth*.hdf5 \
    --output "$results"
step similarity "NeuronSim, CKA, attention, spectra" \
    python -m probing_bridge.run similarity --dumps "$state"/dumps/lth*.h5 --output "$results"
step report "the page" python -m probing_bridge.run report --results "$results" --output "$state/report"
python -m probing_bridge.run summary --results "$results"
echo "page: $state/report/index.html"
