#!/usr/bin/env bash
# A study: a run for each of several seeds, each in a folder of its own, and one page over them. run_all.sh comes here where
# SEED has more than one, as in SEED=1,2,3; arguments: the recipe's folder, then those of run_all.sh.
# Seed 1 is in STATE, seed N in STATE/seedN, where runs of one seed without STATE are too, and the page in STATE/study/report.
set -euo pipefail
cd "$(dirname "$0")/.."
trap : TERM  # as in run_all.sh
folder=$1 seeds=$SEED mode=()
shift
if [ "${1-}" = slurm ] || [ "${1-}" = local ]; then mode=("$1"); shift; fi
if ! [[ $seeds =~ ^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8})+$ ]] || [ -n "$(tr , '\n' <<< "$seeds" | sort | uniq -d)" ]; then
    echo "study.sh: SEED=$seeds: give different whole numbers above 0 with commas between, as in SEED=1,2,3" >&2
    exit 2
fi
export CONFIG=${CONFIG:-$folder/config.sh}
base=${STATE:-$(dirname "$CONFIG")/state${SIZE:+/$SIZE}${SMOKE:+/smoke}} states=()
for seed in ${seeds//,/ }; do
    states+=("$base$([ "$seed" = 1 ] || echo "/seed$seed")")
    SEED=$seed STATE=${states[-1]} bash "$folder/run_all.sh" "${mode[@]}" "$@"
done
if [ "${mode[0]-}" = slurm ]; then
    echo "when all jobs have ended, SEED=$seeds $folder/run_all.sh makes the page of the study"
    exit
fi

SEED=1 STATE=$base
source recipes/chain.sh
read -r first others <<< "$EXPERIMENTS"
tables_of() { printf "%s/$1/tables\n" "${states[@]}"; }
mapfile -t tables < <(tables_of "$first")
newer=("${tables[@]}") beside=()
for experiment in $others; do
    # What was analysed is compared in all tables, of the others there is BLEU alone.
    option=--baseline
    case " $ANALYSED " in *" $experiment "*) option=--control ;; esac
    mapfile -t its < <(tables_of "$experiment")
    beside+=("$option" "${its[@]}") newer+=("${its[@]}")
done
again study "${newer[@]}"
step study "$first: the page of ${#states[@]} runs" python -m probing_bridge.run report --results "${tables[@]}" "${beside[@]}" \
    --output "$state/study/report"
[ -n "$DRY_RUN" ] || echo "page: $state/study/report/index.html"
