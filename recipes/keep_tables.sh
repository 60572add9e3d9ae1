#!/usr/bin/env bash
# Keeps the result tables of finished runs where they can be committed: SEED=1,2,3 STATE=DIR recipes/keep_tables.sh FOLDER
#   FOLDER/seedN/EXPERIMENT  the tables that `gather` made, large ones compressed; not disagreements.csv, which holds
#                            sentences of the corpus. Commands say STATE and, if it is given too, DATA for these folders.
#   FOLDER/seedN/made.txt    the seed, and of every step when, at which commit and on which machine it was begun
# `report` reads the folders of experiments as they are. What FOLDER had of these runs is replaced.
set -euo pipefail
cd "$(dirname "$0")/.."
fail() { echo "keep_tables.sh: $*" >&2; exit 2; }
[ $# = 1 ] || fail "give one folder"
[ -n "${STATE-}" ] || fail "STATE is not set: it is the folder of the runs, as for run_all.sh"

literal() { printf '%s' "$1" | sed 's/[][\.*^$|]/\\&/g'; }
folders=(-e "1!s|$(literal "$STATE")|STATE|g")  # not in the header
[ -z "${DATA-}" ] || folders+=(-e "1!s|$(literal "$DATA")|DATA|g")

for seed in $(tr , ' ' <<< "${SEED:-1}"); do
    state=$STATE/seed$seed
    [ "$seed" != 1 ] || state=$STATE
    compgen -G "$state/*/tables/*.csv" > /dev/null || fail "$state: no tables; run 60_report.sh of the recipe first"
    rm -rf "$1/seed$seed"
    for tables in "$state"/*/tables; do
        kept=$1/seed$seed/$(basename "$(dirname "$tables")")
        mkdir -p "$kept"
        for table in "$tables"/*.csv; do
            [ "${table##*/}" = disagreements.csv ] || sed "${folders[@]}" "$table" > "$kept/${table##*/}"
        done
        find "$kept" -name '*.csv' -size +64k -exec gzip -n9 {} +
    done
    { echo "SEED=$seed"; sed -sn 's/^# \([-0-9]* [0-9:]* .*\)/\1/p' "$state"/log/*.log; } > "$1/seed$seed/made.txt"
    echo "$1/seed$seed: $(find "$1/seed$seed" -name '*.csv*' | wc -l) tables"
done
