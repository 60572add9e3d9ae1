#!/usr/bin/env bash
# Trains, prunes, rewinds and retrains: LTH0 .. LTH8 of every experiment, each in one fairseq-train.
#   magnitude  the paper's: 60 dense epochs, then 8 x (20 % smallest weights pruned, learning rate of epoch 30, 30 epochs)
#   random     its baseline: the same from the same LTH0, but the pruned weights are drawn
#   weights    a variant (Frankle et al. 2019): weights and optimizer are rewound to epoch 30 as well
#   control    nothing is pruned: the same epochs at the same rates
#   shuffle    each module loses as many weights as by magnitude, but which ones is drawn (Su et al. 2020)
#   reinit     the masks of magnitude, weights drawn anew, 60 epochs a level (Frankle & Carbin 2019)
# random-2, shuffle-2, reinit-2 and so on are drawn with that seed.
# Interrupted runs go on from the last epoch when the script is run again.
# Hardware: 8 GPUs of 16 GB. Time: 300 epochs for the first experiment, 240 for each other; 12 to 16 minutes an epoch on
# 8 V100, so 60 to 80 hours and 48 to 64. Disk: 25 GB an experiment. README.md has the sums.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

for experiment in $EXPERIMENTS; do
    rate=$RATE rewind=$REWIND drawn=() branch=(--restore-file "$(checkpoint magnitude 0)")
    [[ $experiment != *-* ]] || drawn=(--imp-seed "${experiment#*-}")
    case ${experiment%-*} in
        magnitude) title="$EPOCHS epochs, then $ITERATIONS x (prune 20 %, $((EPOCHS - REWIND)) epochs)"
            branch=() pruning=(--imp-score magnitude --imp-rewind lr) ;;
        random) title="the same with random pruning, from LTH0"
            pruning=(--imp-score random --imp-rewind lr) ;;
        weights) title="the same with weights rewound, from LTH0"
            pruning=(--imp-score magnitude --imp-rewind weights) ;;
        control) title="the same without pruning, from LTH0"
            rate=0 pruning=(--imp-rewind lr) ;;
        shuffle) title="as many of each module as by magnitude, drawn, from LTH0"
            pruning=(--imp-score shuffle --imp-rewind lr) ;;
        reinit) title="the masks of magnitude, weights drawn anew, $EPOCHS epochs each"
            rewind=0 pruning=(--imp-reinit --imp-rewind lr) ;;
    esac
    step "train-$experiment" "$title" \
        fairseq-train "$data" --user-dir fairseq_lth --task lth_imp -s en -t de "${MODEL[@]}" "${OPTIMISATION[@]}" \
        "${TRAIN_DEVICE[@]}" --max-epoch "$EPOCHS" --imp-iterations "$ITERATIONS" --imp-rate "$rate" \
        --imp-rewind-epoch "$rewind" "${pruning[@]}" "${drawn[@]}" "${branch[@]}" --no-epoch-checkpoints \
        --save-dir "$state/$experiment/levels" --log-format simple --log-interval 100
done
