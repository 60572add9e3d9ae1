#!/usr/bin/env bash
# shellcheck disable=SC2034
# Settings of the paper's run (Movva & Zhao 2020, Sections 3.1-3.2). What is written ${NAME:-...} can also be given in
# the environment, as in: GPUS=4 EXPERIMENTS="magnitude random weights" recipes/wmt16_en_de/run_all.sh

# Data: the corpus that fairseq's own recipe for this pair uses, preprocessed by Google (0.5 GB). DATA=DIR takes it from a
# folder where it already lies unpacked. The md5 is the one that torchtext publishes for this archive.
URL=${URL:-https://drive.google.com/uc?export=download&confirm=t&id=0B_bZck-ksdkpM25jRUN2X2UxMm8}
CHECKSUM=${CHECKSUM-md5:874ab6bbfe9c21ec987ed1b9347f95ec}
LINES=(4500966 3000 3003)                   # pairs of train, newstest2013 (valid), newstest2014 (test)
DICTIONARY=32768                            # words of the joined dictionary
MOSES=(--moses-no-dash-splits)              # how the corpus was tokenised
TEST_SET=newstest2014 REFERENCE=newstest2014.de
METRICS=(sacrebleu compound_split_bleu)
CORPORA=${CORPORA:-}                        # folder of the licensed corpora (see README.md), asked for where needed
SUITE=${SUITE:-recipes/wmt16_en_de/suite.yaml}

# Training: 60 dense epochs; eight times pruning of 20 %, the learning rate rewound to epoch 30, and 30 epochs more.
EXPERIMENTS=${EXPERIMENTS:-magnitude random}
SEED=${SEED:-1}
EPOCHS=60 REWIND=30 ITERATIONS=8 RATE=0.2
MODEL=(--arch transformer_vaswani_wmt_en_de_big --share-all-embeddings --dropout 0.3)
OPTIMISATION=(--optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 0.0
    --lr-scheduler inverse_sqrt --lr 7e-4 --warmup-updates 4000 --warmup-init-lr 1e-7
    --criterion magnitude_mask --base-criterion label_smoothed_cross_entropy --label-smoothing 0.1
    --seed "$SEED")
# An update sees 80000 tokens with any of these numbers of GPUs: beyond 8, each takes fewer at a time.
GPUS=${GPUS:-8}
case $GPUS in
    1 | 2 | 4 | 8) TOKENS=10000 UPDATE_FREQ=$((8 / GPUS)) ;;
    16 | 32) TOKENS=$((80000 / GPUS)) UPDATE_FREQ=1 ;;
    *) echo "wmt16_en_de: GPUS=$GPUS: give 1, 2, 4, 8, 16 or 32, with which an update sees 80000 tokens" >&2; exit 2 ;;
esac
TRAIN_DEVICE=(--fp16 --distributed-world-size "$GPUS" --max-tokens "$TOKENS" --update-freq "$UPDATE_FREQ" --num-workers 4)
DEVICE=()                                   # of everything after training: one GPU, float32

# Evaluation (fairseq 0.12.3 drops a last batch of fewer than 8 sentences unless the multiple is 1)
GENERATE=(--beam 4 --lenpen 0.6 --max-tokens 8000 --required-batch-size-multiple 1)
ANALYSED=${ANALYSED:-magnitude}             # which experiments are also dumped, probed and compared layer by layer
DUMP=(--max-tokens 8000)
MLP_TASKS=(ps_fxn ps_role coref syn_arc_prediction sem_arc_prediction)
PROBE=(--jobs "${JOBS:-16}")                # processes that train probes
MLP_PROBE=("${PROBE[@]}")
TAGS=(pos st)                               # tasks whose tags group the tokens that levels are compared on
SIMILARITY=()

# Slurm (run_all.sh slurm): options of sbatch, which itself reads SBATCH_PARTITION, SBATCH_ACCOUNT and SBATCH_QOS from the
# environment. Training goes on in a chain of jobs, each from where the last one stopped.
SLURM_TRAIN=(--nodes 1 --ntasks 1 --gres "gpu:$GPUS" --cpus-per-task 40 --mem 200G --time 24:00:00)
SLURM_TRAIN_JOBS=4
SLURM_GPU=(--gres gpu:1 --cpus-per-task 8 --mem 32G --time 12:00:00)
SLURM_PROBE=(--gres gpu:1 --cpus-per-task 16 --mem 64G --time 12:00:00)
SLURM_PROBE_AT_ONCE=2                       # levels encoded at the same time: 145 GB of disk each
SLURM_CPU=(--cpus-per-task 16 --mem 32G --time 12:00:00)

# SMOKE=1: every script once on two cores, on a tiny corpus in the same layouts that 00_data.sh makes up. The model and
# its flags stay; the epochs, the prunings, the corpora and what needs a GPU are less.
if [ -n "${SMOKE-}" ]; then
    LINES=(80 8 20) DICTIONARY=1000 EPOCHS=2 REWIND=1 ITERATIONS=1 GPUS=1
    TRAIN_DEVICE=(--cpu --max-tokens 1000) DEVICE=(--cpu) PROBE=() MLP_PROBE=() SIMILARITY=(--resamples 20)
    OPTIMISATION+=(--log-interval 1)
    GENERATE+=(--max-len-a 0 --max-len-b 10)
fi
