#!/usr/bin/env bash
# Trains, prunes, rewinds and retrains: LTH0 .. LTH8 of every experiment, each in one fairseq-train.
#   magnitude  the paper's: 60 dense epochs, then 8 x (20 % smallest weights pruned, learning rate of epoch 30, 30 epochs)
#   random     its baseline: the same from the same LTH0, but the pruned weights are drawn
#   weights    a variant (Frankle et al. 2019): weights and optimizer are rewound to epoch 30 as well
#   control    nothing is pruned: the same epochs at the same rates
#   shuffle    each module loses as many weights as by magnitude, but which ones is drawn (Su et al. 2020)
#   reinit     the masks of magnitude, weights drawn anew, 60 epochs a level (Frankle & Carbin 2019)
#   wanda      scores times the norm of a weight's input, over CALIBRATION batches (Sun et al. 2024)
#   gradient   scores times the gradient, over CALIBRATION batches (Molchanov et al. 2019)
# random-2, shuffle-2, reinit-2, wanda-2 and so on are drawn with that seed, of the last two the batches.
# Interrupted runs go on from the last epoch when the script is run again.
# With AVERAGE=N the dense epochs come first, the last N are averaged, and the same training goes on with the prunings.
# On several nodes without Slurm: the same command on each, with NODES and RENDEZVOUS=HOST:PORT of the first.
# Hardware: 8 GPUs of 32 GB, or of 16 GB with TOKENS=5000. Time: 300 epochs for the first experiment, 240 for each other; 12
# to 16 minutes an epoch on 8 V100, so 60 to 80 hours and 48 to 64. Disk: 25 GB an experiment. README.md has the sums.
set -euo pipefail
cd "$(dirname "$0")/../.."
source recipes/chain.sh

# One process a GPU, started as docs/cluster.md says.
launch=() several=() processes=${GPUS:-1} nodes=${NODES:-1}
if [ -n "${SLURM_JOB_ID-}" ]; then
    launch=(srun --kill-on-bad-exit=1)
    [ "$processes" = 1 ] || several=(--ddp-backend legacy_ddp --distributed-port $((20000 + SLURM_JOB_ID % 10000)))
elif [ "$processes" -gt 1 ]; then
    where=(--standalone)
    if [ "$nodes" -gt 1 ]; then
        [ -n "${RENDEZVOUS-}" ] || refuse "NODES=$nodes: without Slurm, give RENDEZVOUS=HOST:PORT of the first node" \
            "and run 10_train.sh on each"
        where=(--nnodes "$nodes" --rdzv_backend c10d --rdzv_endpoint "$RENDEZVOUS" --rdzv_id lth)
    fi
    launch=(torchrun "${where[@]}" --nproc_per_node $((processes / nodes)) --no-python) several=(--ddp-backend legacy_ddp)
fi
# train NAME TITLE EXPERIMENT FLAGS...: one training, as a step.
train() {
    step "$1" "$2" "${launch[@]}" \
        fairseq-train "$data" --user-dir fairseq_lth --task lth_imp -s "$SOURCE" -t "$TARGET" "${MODEL[@]}" "${OPTIMISATION[@]}" \
        "${TRAIN_DEVICE[@]}" "${several[@]}" --seed "$SEED" --max-epoch "$EPOCHS" "${@:4}" --save-dir "$state/$3/levels" \
        --log-format simple --log-interval 100
}
commas() { local IFS=,; echo "$*"; }  # as fairseq takes several numbers of one flag
average() {
    [ -e "$state/magnitude/average.pt" ] ||
        run python -m fairseq_lth.levels "$state/magnitude/levels" --average "$AVERAGE" --export "$state/magnitude/average.pt"
    for ((epoch = EPOCHS - AVERAGE + 1; epoch <= EPOCHS; epoch++)); do
        run rm -f "$state/magnitude/levels/checkpoint$epoch.pt"
    done
}
if [ "${AVERAGE:-0}" -gt 0 ] && [[ " $EXPERIMENTS " == *" magnitude "* ]]; then
    [ "$AVERAGE" -le "$EPOCHS" ] || refuse "AVERAGE=$AVERAGE: there are $EPOCHS dense epochs"
    train train-dense "$EPOCHS epochs, the last $AVERAGE kept" magnitude --imp-iterations 0 --imp-rate "$RATE" \
        --imp-rewind-epoch "$(commas "${REWIND[@]}")" --imp-score magnitude --imp-rewind lr --keep-last-epochs "$AVERAGE"
    step average "mean of the last $AVERAGE epochs of LTH0" average
fi
for experiment in $EXPERIMENTS; do
    rate=$RATE rewind=("${REWIND[@]}") drawn=() branch=(--restore-file "$(checkpoint magnitude 0)")
    [[ $experiment != *-* ]] || drawn=(--imp-seed "${experiment#*-}")
    case ${experiment%-*} in
        magnitude) title="$EPOCHS epochs, then $ITERATIONS x (prune $RATE, go on from the rate of epoch ${REWIND[*]})"
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
            rewind=(0) pruning=(--imp-reinit --imp-rewind lr) ;;
        wanda | gradient) title="the same by ${experiment%-*} over $CALIBRATION batches, from LTH0"
            pruning=(--imp-score "${experiment%-*}" --imp-calibration-batches "$CALIBRATION" --imp-rewind lr) ;;
    esac
    train "train-$experiment" "$title" "$experiment" --imp-iterations "$ITERATIONS" --imp-rate "$rate" \
        --imp-rewind-epoch "$(commas "${rewind[@]}")" "${pruning[@]}" "${drawn[@]}" "${branch[@]}" --no-epoch-checkpoints
done
