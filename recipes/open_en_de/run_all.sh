#!/usr/bin/env bash
# The whole paper on open data, with a Transformer small enough for two cores: from the text to the report.
#   DATA=DIR    the corpora (default: ../shared/data beside the checkout; README.md says where each comes from)
#   STATE=DIR   where everything goes (default: recipes/open_en_de/state)
#   SEED=1,2,3  a study: a run for each seed, each in a folder of its own, and one page over them (recipes/study.sh)
#   SMOKE=1     every step in minutes, on the first sentences of the same files
#   --dry-run   print every command and do nothing
# Hardware: two cores, 8 GB. Time: 4 hours (by calculation): run it again after an interruption, and what
# is finished is not done again. Disk: 6 GB. The steps after the data are those of recipes/wmt16_en_de.
set -euo pipefail
cd "$(dirname "$0")/../.."
trap : TERM  # the step at work is told as well, and waited for until it has saved
case ${SEED-} in *,*) exec bash recipes/study.sh recipes/open_en_de "$@" ;; esac
export CONFIG=${CONFIG:-recipes/open_en_de/config.sh}
bash recipes/open_en_de/00_data.sh "$@"
for script in 10_train 20_generate 30_dump 40_probe 50_similarity 60_report; do
    bash recipes/wmt16_en_de/$script.sh "$@"
done
