#!/usr/bin/env bash
# The whole paper, from nothing to the report. README.md has the budget of hardware, hours and disk.
#   run_all.sh            one script after the other on this machine
#   run_all.sh slurm      as Slurm jobs that wait for one another, one array task a level
#   ... --dry-run         print every command and do nothing
#   SEED=1,2,3 ...        a study: a run for each seed, each in a folder of its own, and one page over them (recipes/study.sh)
# Settings: config.sh. Run it again after an interruption: what is finished is not done again.
set -euo pipefail
cd "$(dirname "$0")/../.."
here=recipes/wmt16_en_de
case ${SEED-} in *,*) exec bash recipes/study.sh "$here" "$@" ;; esac
mode=local
if [ "${1-}" = slurm ] || [ "${1-}" = local ]; then mode=$1; shift; fi

source recipes/chain.sh
# The most that lies on the disk at a time: levels (with rewind point, best and last), the epochs to average, dumps, and
# the representations of the levels that are probed at the same time.
disk() {
    local experiments analysed at_once=1
    experiments=$(wc -w <<< "$EXPERIMENTS") analysed=$(analysed | wc -l)
    [ "$mode" = local ] || at_once=$((SLURM_PROBE_AT_ONCE * analysed))
    awk -v data="$DATA_GB" -v levels="$(((ITERATIONS + 4) * experiments + AVERAGE + (AVERAGE > 0)))" -v each="$CHECKPOINT_GB" \
        -v dumps="$(((ITERATIONS + 1) * analysed))" -v dump="$DUMP_GB" -v at_once="$at_once" -v reps="$REPS_GB" 'BEGIN {
            printf "# disk: %.0f GB at most: corpus %s, %d checkpoints %.0f, %d dumps %.0f, representations of %d levels at a time %.0f\n",
                data + levels * each + dumps * dump + at_once * reps, data, levels, levels * each, dumps, dumps * dump,
                at_once, at_once * reps }'
}
[ -z "$DRY_RUN" ] || disk
if [ "$mode" = local ]; then
    trap : TERM  # the step at work is told as well, and waited for until it has saved
    for script in 00_data 10_train 15_average 20_generate 30_dump 40_probe 50_similarity 60_report; do
        env "${given[@]}" bash $here/$script.sh  # the words of arrays, which Bash does not export
    done
    exit
fi

all=$EXPERIMENTS
[ -n "$DRY_RUN" ] || command -v sbatch > /dev/null || fail "no sbatch here: is this a machine of the cluster?"

# submit NAME AFTER OPTIONS... -- COMMAND: a job that starts when those in AFTER have succeeded; sets $job to its number. Of
# what Slurm refuses half way, nothing stays queued. The log of a level has its number after the name.
submitted=()
submit() {
    local name=$1 after=$2 options=() log=$state/log/slurm-%x-%j.log reason
    shift 2
    while [ "$1" != -- ]; do
        [ "$1" != --array ] || log=$state/log/slurm-%x-%a-%A.log
        options+=("$1"); shift
    done
    local call=(${given[0]:+env "${given[@]}"} sbatch --parsable --kill-on-invalid-dep=yes --job-name "lth-$name" --chdir "$PWD"
        --output "$log" --open-mode append ${after:+--dependency="$after"} "${SLURM[@]}" "${options[@]}"
        --wrap "EXPERIMENTS='$EXPERIMENTS' exec ${*:2}")  # no shell between that SIGTERM would end
    if [ -n "$DRY_RUN" ]; then
        run "${call[@]}"
        job="<$name>"
    else
        if ! job=$("${call[@]}" 2> "$state/log/sbatch.log"); then
            reason=$(paste -sd ' ' "$state/log/sbatch.log")
            [ ${#submitted[@]} -gt 0 ] || fail "Slurm refused $name: $reason"
            scancel "${submitted[@]}" || fail "Slurm refused $name: $reason; still queued: ${submitted[*]}"
            fail "Slurm refused $name: $reason; what was submitted before it is cancelled: ${submitted[*]}"
        fi
        job=${job%%;*}
        submitted+=("$job")
        echo "$job: $name"
    fi
}
jobs_of() {  # EXPERIMENT: the jobs that its epochs take, and one in case an epoch is slower
    echo "${SLURM_TRAIN_JOBS:-$((($(epochs_of "$1") * EPOCH_MINUTES + HOURS * 60 - 1) / (HOURS * 60) + 1))}"
}
levels=0-$ITERATIONS
submit data "" "${SLURM_CPU[@]}" -- bash $here/00_data.sh
trained=$job ends=() dense_dumped='' dense_probed=''
for experiment in $EXPERIMENTS; do
    EXPERIMENTS=$experiment  # what the jobs below work on
    after=afterok:$trained
    links=$(jobs_of "$experiment")
    for ((part = 1; part <= links; part++)); do
        submit "train-$experiment-$part" "$after" "${SLURM_TRAIN[@]}" -- bash $here/10_train.sh
        after=afterany:$job  # goes on where the time limit stopped it, and ends at once if nothing is left to do
    done
    own=$job
    if [ "$experiment" = magnitude ]; then
        trained=$own  # all others branch off its LTH0
        [ "$AVERAGE" = 0 ] || submit average "afterok:$own" "${SLURM_GPU[@]}" -- bash $here/15_average.sh
    fi
    submit "generate-$experiment" "afterok:$own" "${SLURM_GPU[@]}" --array "$levels" -- bash $here/20_generate.sh
    ends+=("$job")
    if [ -n "$(analysed)" ]; then
        submit "dump-$experiment" "afterok:$own" "${SLURM_GPU[@]}" --array "$levels" -- bash $here/30_dump.sh
        dumped=$job
        submit "probe-$experiment" "afterok:$own$dense_probed" "${SLURM_PROBE[@]}" --array "$levels%$SLURM_PROBE_AT_ONCE" \
            -- bash $here/40_probe.sh
        ends+=("$job") probed=$job
        submit "similarity-$experiment" "afterok:$dumped$dense_dumped" "${SLURM_CPU[@]}" -- bash $here/50_similarity.sh
        ends+=("$job")
        [ "$experiment" != magnitude ] || dense_dumped=:${dumped}_0 dense_probed=:${probed}_0  # branches are compared with it
    fi
done
EXPERIMENTS=$all
submit report "afterok:$(IFS=:; echo "${ends[*]}")" "${SLURM_CPU[@]}" -- bash $here/60_report.sh
[ -n "$DRY_RUN" ] || echo "to cancel them all: scancel ${submitted[*]}"
