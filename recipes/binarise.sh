#!/usr/bin/env bash
# From plain text to fairseq's binary format: tokens, one joined BPE, one joined dictionary with the counts of the training
# text.
#     binarise.sh TEXT SOURCE TARGET BPE SIZE DATA [TOKENIZER]
# TEXT has {train,valid,test}.{SOURCE,TARGET}, and test1 .. for more test sets. BPE is subword_nmt, of SIZE merge operations, or sentencepiece, of at most
# SIZE pieces. TOKENIZER is `moses`, `moses --moses-no-dash-splits` (fairseq's flag: hyphens stay in their words) or left
# out, as sentencepiece needs none. DATA is made, with `codes` or `sentencepiece.model` in it.
# A core for each language, minutes; needs room for four copies of the text. DATA appears only when it is complete; a folder of that
# name is replaced only if this script made it.
set -euo pipefail
# shellcheck source=recipes/steps.sh
source "$(dirname "$0")/steps.sh"
usage="usage: binarise.sh TEXT SOURCE TARGET BPE SIZE DATA [moses [--moses-no-dash-splits]]"
[ $# -ge 6 ] || { echo "$usage" >&2; exit 2; }
text=$1 languages=("$2" "$3") bpe=$4 size=$5 data=$6 work=$6.work tokenizer=${*:7}
case $tokenizer in
    moses) dashes=(-a) ;;
    "moses --moses-no-dash-splits") dashes=() ;;
    "") ;;
    *) echo "$usage" >&2; exit 2 ;;
esac
[[ $bpe = subword_nmt || $bpe = sentencepiece ]] ||
    { echo "binarise: BPE=$bpe: give subword_nmt or sentencepiece" >&2; exit 2; }
made=.made-by-binarise
for place in "$work" "$data"; do
    rmdir "$place" 2> /dev/null || true  # an empty folder is nobody's
    if { [ -e "$place" ] || [ -L "$place" ]; } && [ ! -f "$place/$made" ]; then
        echo "binarise: $place: is there and was not made by this script (no $made in it); give another name" >&2
        exit 1
    fi
done
splits=(train valid test) tests=$work/test
while [ -e "$text/test$((${#splits[@]} - 2)).$2" ]; do
    tests+=,$work/test$((${#splits[@]} - 2))
    splits+=("test$((${#splits[@]} - 2))")
done
for split in "${splits[@]}"; do
    for language in "${languages[@]}"; do
        [ -s "$text/$split.$language" ] || { echo "binarise: $text/$split.$language: no such text" >&2; exit 1; }
        # the tokeniser begins a line at a carriage return, so every later pair would be another one
        inside=$(LC_ALL=C grep -a -n -m 1 $'\r.' "$text/$split.$language" | cut -d : -f 1) || true
        if [ -n "$inside" ]; then
            echo "binarise: $text/$split.$language:$inside: a carriage return inside of a line: take it out" >&2
            exit 1
        fi
    done
    if [ "$(wc -l < "$text/$split.$2")" -ne "$(wc -l < "$text/$split.$3")" ]; then
        echo "binarise: $text/$split.$2 and $split.$3 differ in their number of lines" >&2
        exit 1
    fi
done

tokenize() {  # LANGUAGE
    local split
    for split in "${splits[@]}"; do
        if [ -n "$tokenizer" ]; then sacremoses -q -l "$1" tokenize "${dashes[@]}"; else cat; fi \
            < "$text/$split.$1" > "$work/$split.tok.$1"
    done
}
pieces=$(dirname "$0")/pieces.py
learn() {  # FILE...
    if [ "$bpe" = subword_nmt ]; then
        cat "$@" | subword-nmt learn-bpe -s "$size" > "$work/data/codes"
    else
        python "$pieces" train --size "$size" --model "$work/data/sentencepiece.model" --text "$@"
    fi
}
cut_up() {  # LANGUAGE
    local split
    for split in "${splits[@]}"; do
        if [ "$bpe" = subword_nmt ]; then
            subword-nmt apply-bpe -c "$work/data/codes"
        else
            python "$pieces" encode --model "$work/data/sentencepiece.model"
        fi < "$work/$split.tok.$1" > "$work/$split.$1"
    done
}

rm -rf "$work" "$data"
mkdir -p "$work"
touch "$work/$made"
mkdir "$work/data"
touch "$work/data/$made"
at_once tokenize "${languages[@]}"
learn "$work/train.tok.$2" "$work/train.tok.$3"
at_once cut_up "${languages[@]}"
fairseq-preprocess -s "$2" -t "$3" --joined-dictionary --destdir "$work/data" \
    --trainpref "$work/train" --validpref "$work/valid" --testpref "$tests"
mv "$work/data" "$data"
rm -rf "$work"
