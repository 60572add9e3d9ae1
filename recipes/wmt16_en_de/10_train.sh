#!/usr/bin/env bash
# Trains, prunes, rewinds and retrains: LTH0 .. LTH8 of every experiment, each in one fairseq-train.
#   magnitude  the paper's: 60 dense epochs, then 8 x (20 % smallest weights pruned, learning rate of epoch 30, 30 epochs)
#   random     its baseline: the same from the same LTH0, but the pruned weights are drawn
#   weights    a variant (Frankle et al. 2019): weights and optimizer are rewound to epoch 30 as well
# Interrupted runs go on from the last epoch when the script is run again.
# Hardware: 8 GPUs of 16 GB. Time: 300 epochs for the first experiment, 240 for each other; 12 to 16 minutes an epoch on
# 8 V100, so 60 to 80 hours and 48 to 64. Disk: 25 GB an experiment. README.md has the sums.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

for experiment in $EXPERIMENTS; do
    pruning=(--imp-iterations "$ITERATIONS" --imp-rate "$RATE" --imp-rewind-epoch "$REWIND")
    case $experiment in
        magnitude) title="$EPOCHS epochs, then $ITERATIONS x (prune 20 %, $((EPOCHS - REWIND)) epochs)"
            pruning+=(--imp-score magnitude --imp-rewind lr) ;;
        random) title="the same with random pruning, from LTH0"
            pruning+=(--imp-score random --imp-rewind lr --restore-file "$(checkpoint magnitude 0)") ;;
        weights) title="the same with weights rewound, from LTH0"
            pruning+=(--imp-score magnitude --imp-rewind weights --restore-file "$(checkpoint magnitude 0)") ;;
    esac
    step "train-$experiment" "$title" \
        fairseq-train "$data" --user-dir fairseq_lth --task lth_imp -s en -t de "${MODEL[@]}" "${OPTIMISATION[@]}" \
        "${TRAIN_DEVICE[@]}" --max-epoch "$EPOCHS" "${pruning[@]}" --no-epoch-checkpoints \
        --save-dir "$state/$experiment/levels" --log-format simple --log-interval 100
done
