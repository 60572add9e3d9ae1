#!/usr/bin/env bash
# From plain text to fairseq's binary format: Moses tokens, one joined BPE, one joined dictionary.
#     binarise.sh TEXT MERGES DATA    TEXT has {train,valid,test}.{en,de}; DATA is made, with the BPE codes in it
# One core, minutes; needs room for four copies of the text. DATA appears only when it is complete.
set -euo pipefail
[ $# -eq 3 ] || { echo "usage: binarise.sh TEXT MERGES DATA" >&2; exit 2; }
text=$1 merges=$2 data=$3 work=$3.work
for split in train valid test; do
    for language in en de; do
        [ -s "$text/$split.$language" ] || { echo "binarise: $text/$split.$language: no such text" >&2; exit 1; }
        # the tokeniser begins a line at a carriage return, so every later pair would be another one
        inside=$(LC_ALL=C grep -a -n -m 1 $'\r.' "$text/$split.$language" | cut -d : -f 1) || true
        if [ -n "$inside" ]; then
            echo "binarise: $text/$split.$language:$inside: a carriage return inside of a line: take it out" >&2
            exit 1
        fi
    done
    if [ "$(wc -l < "$text/$split.en")" -ne "$(wc -l < "$text/$split.de")" ]; then
        echo "binarise: $text/$split.en and $split.de differ in their number of lines" >&2
        exit 1
    fi
done

rm -rf "$work" "$data"
mkdir -p "$work/data"
for language in en de; do
    for split in train valid test; do
        sacremoses -q -l $language tokenize -a < "$text/$split.$language" > "$work/$split.tok.$language"
    done
done
cat "$work"/train.tok.{en,de} | subword-nmt learn-bpe -s "$merges" > "$work/data/codes"
for language in en de; do
    for split in train valid test; do
        subword-nmt apply-bpe -c "$work/data/codes" < "$work/$split.tok.$language" > "$work/$split.$language"
    done
done
fairseq-preprocess -s en -t de --joined-dictionary --destdir "$work/data" \
    --trainpref "$work/train" --validpref "$work/valid" --testpref "$work/test"
mv "$work/data" "$data"
rm -rf "$work"
