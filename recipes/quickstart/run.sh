#!/usr/bin/env bash
# From plain text to the report: `make quickstart`. Two CPU cores, less than ten minutes, 1 GB of disk.
#   STATE=DIR      where everything goes (default: recipes/quickstart/state)
#   CORPUS=PREFIX  train on PREFIX.en and PREFIX.de instead of the LibreOffice help texts
# Run it again after an interruption: what is finished is not done again.
set -euo pipefail
[ $# = 0 ] || { echo "run.sh: $1: there are no options" >&2; exit 2; }
cd "$(dirname "$0")/../.."
here=recipes/quickstart
# shellcheck source=recipes/quickstart/config.sh
source "${CONFIG:-$here/config.sh}"
state=${STATE:-$here/state}
mkdir -p "$state/done" "$state/log"
source recipes/steps.sh
export OMP_NUM_THREADS=1  # two things at a time, each on a core

if [ "${CORPUS-}" != "$(cat "$state/corpus" 2>/dev/null)" ] && [ -e "$state/done/pairs" ]; then
    refuse "$state was made with CORPUS='$(cat "$state/corpus")', not '${CORPUS-}': name another folder with STATE=DIR"
fi
echo "${CORPUS-}" > "$state/corpus"

text=$state/text data=$state/data levels=$state/levels results=$state/results
mkdir -p "$state/reps" "$state/dumps" "$results"
all_levels=$(seq 0 "$ITERATIONS")

# both FIRST SECOND: two functions at the same time, on a core each; what the first prints is shown when both have ended.
both() {
    local printed status=0
    printed=$(mktemp)
    "$1" > "$printed" &
    ("$2") || status=$?
    wait $! || status=$?
    cat "$printed"
    rm -f "$printed"
    [ "$status" = 0 ] || exit "$status"
}

# 1. Text: words to probe with; pairs to train on, as Moses tokens, one joined BPE, fairseq's binary format.
treebank() { step treebank "English Web Treebank" python $here/data.py treebank --state "$state"; }
pairs() {
    step pairs "English-German pairs" python $here/data.py pairs --state "$state" ${CORPUS:+--corpus "$CORPUS"}
    step binarise "tokens, BPE and fairseq's binary format" \
        bash recipes/binarise.sh "$text" en de subword_nmt "$BPE_SIZE" "$data" moses
}
both treebank pairs
bpe=(--tokenizer moses --bpe subword_nmt --bpe-codes "$data/codes")

# 2. Train by two processes, then prune, rewind and retrain: LTH0 .. LTHk.
step train "$EPOCHS dense epochs, then $ITERATIONS x (prune 20 %, retrain $((EPOCHS - REWIND)))" \
    torchrun --standalone --nproc_per_node 2 --no-python fairseq-train "$data" --user-dir fairseq_lth --task lth_imp \
    --cpu --distributed-world-size 2 --distributed-backend gloo --ddp-backend legacy_ddp -s en -t de \
    "${MODEL[@]}" "${OPTIMISATION[@]}" --max-epoch "$EPOCHS" --imp-rewind-epoch "$REWIND" --imp-iterations "$ITERATIONS" \
    --imp-rate 0.2 --no-epoch-checkpoints --save-dir "$levels" --log-format simple --log-interval 100

# 3. What each level translates and computes.
translate() {
    for k in $all_levels; do
        # fairseq 0.12.3 drops a last batch of fewer than 8 sentences unless the multiple is 1.
        step "generate$k" "LTH$k: translate the test set" \
            fairseq-generate "$data" -s en -t de --user-dir fairseq_lth --path "$levels/checkpoint_lth$k.pt" --beam 4 \
            --lenpen 0.6 --max-tokens 8000 --required-batch-size-multiple 1 --cpu "${bpe[@]}" \
            --results-path "$state/translations/lth$k"
    done
    step score "sacrebleu" score
}
score() {
    cp "$levels/lth.csv" "$levels/lth_modules.csv" "$results/"
    local pairs=() k
    for k in $all_levels; do pairs+=("$levels/checkpoint_lth$k.pt=$state/translations/lth$k/generate-test.txt"); done
    python -m probing_bridge.run score --reference "$text/test.de" --test-set test --metrics sacrebleu \
        --output "$results" "${pairs[@]}"
}
compute() {
    step sentences "sentences to encode" \
        python -m probing_bridge.run sentences --suite "$state/treebank/suite.yaml" --output "$state/sentences"
    for k in $all_levels; do
        local level=$levels/checkpoint_lth$k.pt
        step "encode$k" "LTH$k: one vector a word and layer" \
            python -m fairseq_lth.encode --path "$level" --sentences "$state/sentences/sentences.txt" \
            --output "$state/reps/lth$k.hdf5" "${bpe[@]}"
        step "dump$k" "LTH$k: dump layers and attention" \
            fairseq-validate "$data" --user-dir fairseq_lth --task lth_imp --path "$level" --valid-subset valid \
            --max-tokens 4000 --cpu --dump-output 16 --dump-activations "$state/dumps/lth$k.h5"
    done
}
both translate compute

# 4. Probe, compare, show.
probe() {
    step probe "linear probes" \
        python -m probing_bridge.run probe --suite "$state/treebank/suite.yaml" --reps "$state"/reps/lth*.hdf5 \
        --output "$results" --jobs 2
}
compare() {  # in what the two processes that probe leave of the cores at their start and end
    step similarity "NeuronSim, CKA, attention, spectra" \
        python -m probing_bridge.run similarity --dumps "$state"/dumps/lth*.h5 --output "$results"
}
both compare probe
step report "the page" python -m probing_bridge.run report --results "$results" --output "$state/report"
python -m probing_bridge.run summary --results "$results"
echo "page: $state/report/index.html"
