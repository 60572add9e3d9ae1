#!/usr/bin/env bash
# Sourced by the numbered scripts of a recipe, which all take the same settings and options:
#   --dry-run        print every command and do nothing
#   CONFIG=FILE      the settings (default: config.sh of the recipe)
#   SEED=N           another training run (default: 1), in a folder of its own; run_all.sh takes several, see study.sh
#   STATE=DIR        where everything goes (default: state/ in the recipe's folder; with SEED=N, state/seedN)
#   EXPERIMENTS=...  some of: magnitude weights control random shuffle reinit wanda gradient (default: those of the
#                    settings); the last five are drawn with another seed as random-N, shuffle-N and so on
# In a Slurm array job the task's number is the level; otherwise all levels are done one after the other.
set -euo pipefail

DRY_RUN=${DRY_RUN-}
for word in "$@"; do
    [ "$word" = --dry-run ] || { echo "$(basename "$0"): $word: unknown option; there is only --dry-run" >&2; exit 2; }
    DRY_RUN=1
done
export DRY_RUN

CONFIG=${CONFIG:-recipes/wmt16_en_de/config.sh}
[ -f "$CONFIG" ] || { echo "$(basename "$0"): CONFIG=$CONFIG: no such file" >&2; exit 2; }
source recipes/steps.sh
mapfile -d '' -t environment < <(env -0)
# shellcheck source=recipes/wmt16_en_de/config.sh
source "$CONFIG"
# What the environment has under the name of an array takes its place, read as a shell reads words. Bash exports no array,
# so `given` keeps the words for the jobs of Slurm.
arrays=$(declare -a | sed -n 's/^declare -[a-zA-Z]* \([A-Z_0-9]*\)=.*/ \1 /p')
given=()
for entry in "${environment[@]}"; do
    [[ $arrays == *" ${entry%%=*} "* ]] || continue
    taken=$(xargs -r printf '%s\n' <<< "${entry#*=}" 2> /dev/null) || refuse "${entry%%=*} has an unmatched quote: ${entry#*=}"
    mapfile -t "${entry%%=*}" < <(printf '%s' "$taken")
    given+=("$entry")
done
# shellcheck disable=SC2034
recipe=$(basename "$(dirname "$CONFIG")")
runs=${SIZE:+/$SIZE}${SMOKE:+/smoke}
[ "${SEED:-1}" = 1 ] || runs+=/seed$SEED
state=${STATE:-$(dirname "$CONFIG")/state$runs}
# shellcheck disable=SC2034
text=$state/text data=$state/data
[ -z "${SMOKE-}" ] || CORPORA=$state/made-up/corpora
[ -n "$DRY_RUN" ] || mkdir -p "$state/done" "$state/log"
# What is finished in a folder is not done again, so it must be of this run and of these pairs.
own=$(for name in SEED SOURCE TARGET CORPUS PAIRS HELD_OUT TOKENIZER BPE BPE_SIZE; do
    declare -n value=$name
    echo "$name=${value[*]-}"
done)
kept=$(cat "$state/run" 2> /dev/null || echo "$own")
differs() { diff <(echo "$kept") <(echo "$own") | sed -n "s/^$1 //p" | paste -sd ' '; }
[ "$kept" = "$own" ] ||
    refuse "STATE=$state is the folder of $(differs '<'), not of $(differs '>'): give another one, such as STATE=DIR/seed${SEED:-1}"
[ -n "$DRY_RUN" ] || [ -e "$state/run" ] || { echo "$own" > "$state/run.$$" && mv "$state/run.$$" "$state/run"; }
command -v fairseq-train > /dev/null || PATH=$PWD/.venv/bin:$PATH
[ -n "$DRY_RUN" ] || command -v fairseq-train > /dev/null || fail "no fairseq-train here: run \`make setup\` first"
for experiment in $EXPERIMENTS; do
    case $experiment in
        magnitude | weights | control | random | shuffle | reinit | wanda | gradient) ;;
        *)
            [[ $experiment =~ ^(random|shuffle|reinit|wanda|gradient)-[1-9][0-9]*$ ]] || refuse "EXPERIMENTS has '$experiment', which is" \
                "none of magnitude, weights, control, random, shuffle, reinit, wanda, gradient, nor of the last five with a seed" \
                "(random-2)"
            ;;
    esac
done
[[ "$SOURCE $TARGET" =~ ^[A-Za-z_]+\ [A-Za-z_]+$ && $SOURCE != "$TARGET" ]] ||
    refuse "SOURCE=$SOURCE TARGET=$TARGET: give two codes of languages, as in SOURCE=de TARGET=en"
[[ ${#REWIND[@]} = 1 || ${#REWIND[@]} = "$ITERATIONS" ]] ||
    refuse "REWIND='${REWIND[*]}': give one epoch, or one for each of the $ITERATIONS prunings"
for level in ${CONTROL_LEVELS-} ${MLP_LEVELS-}; do
    [[ $level =~ ^[0-9]+$ && $level -le $ITERATIONS ]] ||
        refuse "CONTROL_LEVELS='${CONTROL_LEVELS-}' MLP_LEVELS='${MLP_LEVELS-}': levels are 0 to $ITERATIONS"
done
[ "${AVERAGE:-0}" = 0 ] || [[ " $EXPERIMENTS " != *" weights "* ]] || refuse "AVERAGE=$AVERAGE trains LTH0 apart, which" \
    "leaves no point for the experiment weights to rewind to: take one or the other"

# shellcheck disable=SC2034
suite=(--suite "$SUITE" --corpora "${CORPORA:-CORPORA}")
# Words become subwords as they did in the training data. fairseq's sentencepiece puts words together by itself, and takes
# the blanks out of what `--post-process` has put together before.
# shellcheck disable=SC2034
words=(${TOKENIZER[0]:+--tokenizer "${TOKENIZER[@]}"} --bpe "$BPE") joined=()
case $BPE in
    subword_nmt)
        words+=(--bpe-codes "$data/codes")
        # shellcheck disable=SC2034
        joined=(--post-process subword_nmt)
        ;;
    sentencepiece) words+=(--sentencepiece-model "$data/sentencepiece.model") ;;
    *) refuse "BPE=$BPE: give subword_nmt or sentencepiece" ;;
esac

# levels_of EXPERIMENT: the levels it has of its own. All branch off the dense model of `magnitude`, which is theirs too.
levels_of() {
    local k
    for k in ${SLURM_ARRAY_TASK_ID:-$(seq 0 "$ITERATIONS")}; do
        if [ "$k" -gt 0 ] || [ "$1" = magnitude ]; then echo "$k"; fi
    done
}

# probed_levels EXPERIMENT: those of its own levels that are probed.
probed_levels() {
    local k
    for k in $(levels_of "$1"); do
        if [ "$1" = magnitude ] || [[ " ${CONTROL_LEVELS:-$k} " = *" $k "* ]]; then echo "$k"; fi
    done
}

# epochs_of EXPERIMENT: how many it trains for its own levels.
epochs_of() {
    local k sum=0 rewind
    [ "$1" != magnitude ] || sum=$EPOCHS
    for ((k = 0; k < ITERATIONS; k++)); do
        rewind=${REWIND[${#REWIND[@]} > 1 ? k : 0]}
        [ "${1%-*}" != reinit ] || rewind=0
        sum=$((sum + EPOCHS - rewind))
    done
    echo "$sum"
}

# test_subset NUMBER: what fairseq calls one of the test sets, of which the first is number 0.
test_subset() { if [ "$1" = 0 ]; then echo test; else echo "test$1"; fi; }

# Files of one level; arguments: EXPERIMENT LEVEL.
checkpoint() { echo "$state/$1/levels/checkpoint_lth$2.pt"; }
translations() { echo "$state/$1/translations/lth$2"; }
dump() { echo "$state/$1/dumps/lth$2.h5"; }

# again STEP FOLDER...: forgets that a step is done if a table in the folders is newer.
again() {
    local made=$state/done/$1
    [ -z "$DRY_RUN" ] && [ -e "$made" ] || return 0
    [ -z "$(find "${@:2}" -maxdepth 1 -name '*.csv' -newer "$made")" ] || rm -f "$made"
}

# analysed: the experiments whose levels are dumped, probed and compared.
analysed() {
    local experiment
    for experiment in $EXPERIMENTS; do
        case " $ANALYSED " in *" $experiment "*) echo "$experiment" ;; esac
    done
}
