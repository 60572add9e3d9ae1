#!/usr/bin/env bash
# From two text files to binarised splits, and the sentences that probing needs.
#   CORPUS=PREFIX   the text: PREFIX.$SOURCE and PREFIX.$TARGET, line by line
#   CORPORA=DIR     the corpora that suite.yaml names
# Hardware: one core. Time: a minute for a few thousand pairs. Disk: four times the text.
set -euo pipefail
here=recipes/$(basename "$(cd "$(dirname "$0")" && pwd)")
cd "$(dirname "$0")/../.."
CONFIG=${CONFIG:-$here/config.sh}
source recipes/chain.sh

if [ -n "${SMOKE-}" ]; then
    step smoke "made-up pairs and a treebank" \
        python "$here/smoke.py" --languages "$SOURCE" "$TARGET" --output "$state/made-up"
    CORPUS=$state/made-up/pairs
fi
[ -n "$CORPUS" ] || [ -n "$DRY_RUN" ] || refuse "set CORPUS to the prefix of your two text files: CORPUS=\$PWD/pairs"
[ -n "$CORPORA" ] || [ -n "$DRY_RUN" ] || refuse "set CORPORA to the folder of the files that $SUITE names"

step text "pairs of $SOURCE and $TARGET" python "$here/data.py" --corpus "${CORPUS:-CORPUS}" \
    --languages "$SOURCE" "$TARGET" --held-out "${HELD_OUT[@]}" --output "$text"
step binarise "tokens, BPE and fairseq's binary format" \
    bash recipes/binarise.sh "$text" "$SOURCE" "$TARGET" "$BPE" "$BPE_SIZE" "$data" "${TOKENIZER[@]}"
step corpora "corpora of the probing tasks" \
    python recipes/wmt16_en_de/check_data.py --suite "$SUITE" --corpora "${CORPORA:-CORPORA}"
step sentences "sentences to encode" \
    python -m probing_bridge.run sentences "${suite[@]}" --output "$state/sentences"
