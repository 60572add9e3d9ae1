#!/usr/bin/env bash
# A recipe of your own: from two text files in any direction to the report. README.md of this folder is the way in.
#   CORPUS=$PWD/pairs CORPORA=$PWD/treebank SOURCE=de TARGET=en recipes/your_own/run_all.sh
#   STATE=DIR   where everything goes (default: state/ in this folder)
#   SEED=1,2,3  a study: a run for each seed, each in a folder of its own, and one page over them (recipes/study.sh)
#   SMOKE=1     every step in a minute or two, on made-up text
#   --dry-run   print every command and do nothing
# Run it again after an interruption: what is finished is not done again. The steps after the data are those of
# recipes/wmt16_en_de.
set -euo pipefail
here=recipes/$(basename "$(cd "$(dirname "$0")" && pwd)")
cd "$(dirname "$0")/../.."
trap : TERM  # the step at work is told as well, and waited for until it has saved
case ${SEED-} in *,*) exec bash recipes/study.sh "$here" "$@" ;; esac
export CONFIG=${CONFIG:-$here/config.sh}
bash "$here/00_data.sh" "$@"
for script in 10_train 20_generate 30_dump 40_probe 50_similarity 60_report; do
    bash recipes/wmt16_en_de/$script.sh "$@"
done
