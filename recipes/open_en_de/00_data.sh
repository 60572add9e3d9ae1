#!/usr/bin/env bash
# The corpora in DATA: checks them, binarises the pairs and lists the sentences that probing needs.
# Hardware: one core. Time: 3 minutes. Disk: 60 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
CONFIG=${CONFIG:-recipes/open_en_de/config.sh}
source recipes/chain.sh
here=recipes/open_en_de open=${DATA:-../shared/data}

step pairs "English-German pairs" \
    python $here/data.py pairs --data "$open" --output "$text" --pairs "${PAIRS[@]}"
step binarise "tokens, BPE and fairseq's binary format" \
    bash recipes/binarise.sh "$text" "$SOURCE" "$TARGET" "$BPE" "$BPE_SIZE" "$data" "${TOKENIZER[@]}"
if [ -n "${SMOKE-}" ]; then
    step subset "first sentences of the probing corpora" \
        python $here/data.py subset --data "$open" --suite "$SUITE" --sentences 40 15 15 --documents 2 1 1 \
            --output "$CORPORA"
fi
step corpora "corpora of the probing tasks" \
    python recipes/wmt16_en_de/check_data.py --suite "$SUITE" --corpora "$CORPORA"
step sentences "sentences to encode" \
    python -m probing_bridge.run sentences "${suite[@]}" --output "$state/sentences"
