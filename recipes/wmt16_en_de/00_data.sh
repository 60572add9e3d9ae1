#!/usr/bin/env bash
# The corpora: downloads or makes, checks and binarises WMT16 English-German, and lists the sentences that probing needs.
#   CORPUS_FROM=statmt  from the files that statmt.org publishes (default); CORPUS_FROM=archive takes Google's archive of it
#   DATA=DIR            take the corpus from there: that archive unpacked, or a copy that fairseq-preprocess has binarised
#   CORPORA=DIR         the licensed corpora of the 18 probing tasks; docs/corpora.md says how each is made
# Hardware: any machine, 8 cores, 16 GB. Time: the download (1.2 GB), then two hours, of which learning the BPE takes most on
# one core; from the archive 15 minutes. Disk: 8 GB.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh
here=recipes/wmt16_en_de

if [ -n "${SMOKE-}" ]; then
    step smoke "tiny corpora in the layouts of the real ones" \
        python $here/smoke.py --output "$state/made-up" --lines "${PAIRS[@]}"
    made_up=file://$(realpath -m "$state/made-up")
    URL=$made_up/wmt16_en_de.tar.gz CHECKSUM='' STATMT_CHECKSUMS=('' '' '' '')
    STATMT=("${STATMT[@]/#*\//$made_up/}")
fi

# 1. Pairs
downloads=$state/download
fetched() {
    local place
    for place in "${!STATMT[@]}"; do
        run bash recipes/fetch.sh "${STATMT[place]}" "$downloads/${STATMT[place]##*/}" "${STATMT_CHECKSUMS[place]-}"
    done
}
binarised() {
    run python $here/text.py --binarised "$DATA" --lines "${PAIRS[@]}" --output "$data"
    run mkdir -p "$text"
    run ln -sf "$(realpath -m "$data/${REFERENCE[0]}")" "$text/${REFERENCE[0]}"
}
kind=binarise
if [ -n "${DATA-}" ] && [ -e "$DATA/dict.en.txt" ]; then
    kind=binarised
elif [ -n "${DATA-}" ]; then
    step text "corpus in $DATA" python $here/text.py --folder "$DATA" --lines "${PAIRS[@]}" --output "$text"
elif [ "$CORPUS_FROM" = archive ]; then
    step fetch "download of the archive" bash recipes/fetch.sh "$URL" "$downloads/wmt16_en_de.tar.gz" "$CHECKSUM"
    step text "corpus unpacked and checked" python $here/text.py --archive "$downloads/wmt16_en_de.tar.gz" \
        --lines "${PAIRS[@]}" --output "$text"
elif [ "$CORPUS_FROM" = statmt ]; then
    step fetch "download from statmt.org" fetched
    step text "tokens, cleaning, BPE" python -m recipes.wmt16_en_de.statmt --downloads "$downloads" \
        --lines "${PAIRS[@]}" --merges "$BPE_SIZE" --jobs "$(nproc)" --output "$text"
else
    refuse "CORPUS_FROM=$CORPUS_FROM: give statmt or archive"
fi
binarise() {
    run rm -rf "$data" "$data.tmp"
    run fairseq-preprocess -s "$SOURCE" -t "$TARGET" --joined-dictionary --nwordssrc "$DICTIONARY" --nwordstgt "$DICTIONARY" \
        --trainpref "$text/train.tok.clean.bpe.32000" --validpref "$text/newstest2013.tok.bpe.32000" \
        --testpref "$text/newstest2014.tok.bpe.32000" --destdir "$data.tmp" --workers "$(nproc)"
    run cp "$text/bpe.32000" "$data.tmp/codes"
    run mv "$data.tmp" "$data"
}
step binarise "fairseq's binary format" "$kind"

# 2. Words
[ -n "$CORPORA" ] || [ -n "$DRY_RUN" ] ||
    refuse "set CORPORA to the folder of the probing corpora; $here/README.md lists them"
step corpora "corpora of the probing tasks" python $here/check_data.py --suite "$SUITE" --corpora "$CORPORA"
step sentences "sentences to encode" \
    python -m probing_bridge.run sentences "${suite[@]}" --output "$state/sentences"
