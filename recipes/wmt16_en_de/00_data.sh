#!/usr/bin/env bash
# The corpora: downloads, checks and binarises WMT16 English-German, and lists the sentences that probing needs.
#   DATA=DIR     take the unpacked corpus from there instead of downloading it
#   CORPORA=DIR  the licensed corpora of the 18 probing tasks; README.md says which, check_data.py says what is missing
# Hardware: any machine, 8 cores. Time: the download, then about 15 minutes. Disk: 6 GB (0.5 archive, 2.5 text, 3 binary).
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh
here=recipes/wmt16_en_de

if [ -n "${SMOKE-}" ]; then
    step smoke "tiny corpora in the layouts of the real ones" \
        python $here/smoke.py --output "$state/made-up" --lines "${LINES[@]}"
    URL=file://$(realpath -m "$state/made-up/wmt16_en_de.tar.gz") CHECKSUM=''
fi

# 1. Pairs
if [ -n "${DATA-}" ]; then
    step text "corpus in $DATA" python $here/text.py --folder "$DATA" --lines "${LINES[@]}" --output "$text"
else
    step fetch "download of the corpus" bash recipes/fetch.sh "$URL" "$state/download/wmt16_en_de.tar.gz" "$CHECKSUM"
    step text "corpus unpacked and checked" python $here/text.py --archive "$state/download/wmt16_en_de.tar.gz" \
        --lines "${LINES[@]}" --output "$text"
fi
binarise() {
    run rm -rf "$data" "$data.tmp"
    run fairseq-preprocess -s en -t de --joined-dictionary --nwordssrc "$DICTIONARY" --nwordstgt "$DICTIONARY" \
        --trainpref "$text/train.tok.clean.bpe.32000" --validpref "$text/newstest2013.tok.bpe.32000" \
        --testpref "$text/newstest2014.tok.bpe.32000" --destdir "$data.tmp" --workers "$(nproc)"
    run cp "$text/bpe.32000" "$data.tmp/codes"
    run mv "$data.tmp" "$data"
}
step binarise "fairseq's binary format" binarise

# 2. Words
[ -n "$CORPORA" ] || [ -n "$DRY_RUN" ] ||
    refuse "set CORPORA to the folder of the probing corpora; $here/README.md lists them"
step corpora "corpora of the probing tasks" python $here/check_data.py --suite "$SUITE" --corpora "$CORPORA"
step sentences "sentences to encode" \
    python -m probing_bridge.run sentences "${suite[@]}" --output "$state/sentences"
