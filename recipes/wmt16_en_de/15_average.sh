#!/usr/bin/env bash
# With AVERAGE=N: translates with the mean of the last N epochs of LTH0 and scores that. It is none of the levels and in
# none of their tables: fairseq's own recipe for this corpus and the 28.74 of Movva & Zhao's footnote 1 are such models.
# Hardware: 1 GPU. Time: 3 minutes. Disk: 2 MB.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

folder=$state/magnitude/average
if [ "${AVERAGE:-0}" -gt 0 ] && [[ " $EXPERIMENTS " == *" magnitude "* ]]; then
    step generate-average "mean of the last $AVERAGE epochs of LTH0: translate ${TEST_SET[0]}" \
        fairseq-generate "$data" -s "$SOURCE" -t "$TARGET" --path "$state/magnitude/average.pt" "${GENERATE[@]}" "${DEVICE[@]}" \
        "${words[@]}" "${joined[@]}" --results-path "$folder"
    step score-average "mean of the last $AVERAGE epochs of LTH0: ${METRICS[*]}" \
        python recipes/wmt16_en_de/score.py --translations "$folder/generate-test.txt" --reference "$text/${REFERENCE[0]}" \
        --metrics "${METRICS[@]}" --output "$folder/bleu.txt"
    [ -n "$DRY_RUN" ] || cat "$folder/bleu.txt"
fi
