#!/usr/bin/env bash
# Both sides of a translation model: treebanks of English on the encoder, of German on the decoder, tested on the same
# sentences in the two languages. Two cores, minutes, after `make quickstart`.
#   MODEL=DIR   state of the quickstart, or of its steps up to `train` (default: recipes/quickstart/state)
#   DATA=DIR    has ud_ewt, ud_gsd and ud_pud (default: ../shared/data beside the checkout)
#   STATE=DIR   where everything goes (default: recipes/both_sides/state)
# Run it again after an interruption: what is finished is not done again.
set -euo pipefail
[ $# = 0 ] || { echo "run.sh: $1: there are no options" >&2; exit 2; }
cd "$(dirname "$0")/../.."
here=recipes/both_sides
state=${STATE:-$here/state} data=${DATA:-../shared/data} model=${MODEL:-recipes/quickstart/state}
mkdir -p "$state/done" "$state/log"
source recipes/steps.sh
level=(--path "$model/levels/checkpoint_lth0.pt" --data "$model/data"
    --tokenizer moses --bpe subword_nmt --bpe-codes "$model/data/codes")

for language in english german; do
    step "sentences-$language" "$language sentences" python -m probing_bridge.run sentences \
        --suite "$here/$language.yaml" --corpora "$data" --output "$state/$language"
done
step sources "the English sentence of each German one of PUD" python $here/sides.py sources \
    --data "$data" --sentences "$state/german/sentences.txt" --output "$state/sources.txt"

# probed NAME LANGUAGE OPTION...: one series of results.
probed() {
    local name=$1 language=$2
    shift 2
    step "encode-$name" "$name: one vector a word and layer" python -m fairseq_lth.encode "${level[@]}" "$@" \
        --sentences "$state/$language/sentences.txt" --output "$state/reps/$name.hdf5"
    step "probe-$name" "$name: linear probes of words, features and arcs" python -m probing_bridge.run probe \
        --suite "$here/$language.yaml" --corpora "$data" --reps "$state/reps/$name.hdf5" --output "$state/results/$name"
}
mkdir -p "$state/reps"
probed encoder english
probed decoder german --side target --source "$state/sources.txt"
probed decoder-alone german --side target  # every source is empty
step table "the table of both sides" python $here/sides.py table --results "$state/results" --output "$state/sides.md"
cat "$state/sides.md"
