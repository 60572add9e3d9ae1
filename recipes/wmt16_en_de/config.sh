#!/usr/bin/env bash
# shellcheck disable=SC2034
# Settings of the paper's run (Movva & Zhao 2020, Sections 3.1-3.2). What is written ${NAME:-...}, and every array, can
# also be given in the environment: GPUS=4 DUMP="--max-tokens 4000" recipes/wmt16_en_de/run_all.sh

# Data: made from what statmt.org publishes (CORPUS_FROM=statmt; the hashes are those of TensorFlow Datasets, which has none
# of the first and the last), or Google's archive of the same corpus, of fairseq's own recipe for it (CORPUS_FROM=archive; the
# md5 is the one of torchtext). DATA=DIR takes it from a folder: the archive unpacked, or a binarised copy.
SOURCE=en TARGET=de
CORPUS_FROM=${CORPUS_FROM:-statmt}
STATMT=(http://www.statmt.org/europarl/v7/de-en.tgz http://www.statmt.org/wmt13/training-parallel-commoncrawl.tgz
    http://data.statmt.org/wmt16/translation-task/training-parallel-nc-v11.tgz
    http://data.statmt.org/wmt16/translation-task/dev.tgz)
STATMT_CHECKSUMS=('' sha256:c7a74e2ea01ac6c920123108627e35278d4ccb5701e15428ffa34de86fa3a9e5
    sha256:cfe8ab047e05043476e498ee765c98e939c7b7d6d294e856344c84476b619d6a '')
URL=${URL:-https://drive.google.com/uc?export=download&confirm=t&id=0B_bZck-ksdkpM25jRUN2X2UxMm8}
CHECKSUM=${CHECKSUM-md5:874ab6bbfe9c21ec987ed1b9347f95ec}
PAIRS=(4500966 3000 3003)                   # pairs of train, newstest2013 (valid), newstest2014 (test)
BPE=subword_nmt BPE_SIZE=${BPE_SIZE:-32000} # merge operations, English and German together
DICTIONARY=${DICTIONARY:-32768}             # words of the joined dictionary
TOKENIZER=(moses --moses-no-dash-splits)    # how the corpus was tokenised
TEST_SET=(newstest2014) REFERENCE=(newstest2014.de)
METRICS=(sacrebleu chrf++ compound_split_bleu)
CORPORA=${CORPORA:-}                        # folder of the licensed corpora (see README.md), asked for where needed
SUITE=${SUITE:-recipes/wmt16_en_de/suite.yaml}

# Training: 60 dense epochs; eight times pruning of 20 %, the learning rate rewound to epoch 30, and 30 epochs more.
EXPERIMENTS=${EXPERIMENTS:-magnitude random}
SEED=${SEED:-1}
EPOCHS=${EPOCHS:-60} ITERATIONS=${ITERATIONS:-8} RATE=${RATE:-0.2}
REWIND=(30)                                 # an epoch, or one a pruning: the authors' code has 30 30 30 30 30 30 12 12
AVERAGE=${AVERAGE:-0}                       # last epochs of LTH0 to average (fairseq's recipe: 10); 0: no average
CALIBRATION=16                              # batches that wanda and gradient look at
MODEL=(--arch transformer_vaswani_wmt_en_de_big --share-all-embeddings --dropout 0.3)
OPTIMISATION=(--optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 0.0
    --lr-scheduler inverse_sqrt --lr 7e-4 --warmup-updates 4000 --warmup-init-lr 1e-7
    --criterion magnitude_mask --base-criterion label_smoothed_cross_entropy --label-smoothing 0.1)
# An update sees 80000 tokens: GPUS, on NODES machines, x TOKENS at a time x the updates of --update-freq. GPUs of 16 GB
# need TOKENS=5000. The authors trained in float32 (PRECISION=fp32): a third more memory, about three times the hours.
GPUS=${GPUS:-8} NODES=${NODES:-1} PRECISION=${PRECISION:-fp16}
numbers="GPUS=$GPUS NODES=$NODES TOKENS=${TOKENS-}"
[[ $numbers =~ ^GPUS=[1-9][0-9]{0,4}\ NODES=[1-9][0-9]{0,4}\ TOKENS=([1-9][0-9]{0,4})?$ ]] ||
    refuse "$numbers: give whole numbers"
[ $((GPUS % NODES)) = 0 ] || refuse "$numbers: give as many GPUs on every node"
TOKENS=${TOKENS:-$((GPUS > 8 ? 80000 / GPUS : 10000))}
[ $((80000 % (GPUS * TOKENS))) = 0 ] || refuse "GPUS=$GPUS: an update of 80000 tokens is no multiple of" \
    "$GPUS x $TOKENS tokens; give 1, 2, 4, 8, 16 or 32 GPUS, or other TOKENS"
[[ $PRECISION = fp16 || $PRECISION = fp32 ]] || refuse "PRECISION=$PRECISION: give fp16 or fp32"
TRAIN_DEVICE=(--distributed-world-size "$GPUS" --max-tokens "$TOKENS" --update-freq $((80000 / (GPUS * TOKENS)))
    --num-workers 4)
minutes=384
[ "$PRECISION" = fp32 ] || { TRAIN_DEVICE+=(--fp16) minutes=128; }
DEVICE=()                                   # of everything after training: one GPU, float32

# Evaluation (fairseq 0.12.3 drops a last batch of fewer than 8 sentences unless the multiple is 1)
GENERATE=(--beam 4 --lenpen 0.6 --max-tokens 8000 --required-batch-size-multiple 1)
ANALYSED=${ANALYSED:-magnitude}             # which experiments are also dumped, probed and compared layer by layer
CONTROL_LEVELS=${CONTROL_LEVELS-}           # levels of all but magnitude that are probed; empty: all
DUMP=(--max-tokens 8000)
OUTPUT_K=${OUTPUT_K:-16}                    # most probable tokens that a dump keeps at each target position; 0: none
MLP_TASKS=(ps_fxn ps_role coref syn_arc_prediction sem_arc_prediction)
PROBE=(--jobs "${JOBS:-16}")                # processes that train probes
MLP_PROBE=("${PROBE[@]}")
TAGS=(pos st)                               # tasks whose tags group the tokens that levels are compared on
SIMILARITY=()

# Slurm (run_all.sh slurm): options of sbatch. Training goes on in a chain of jobs, each from where the last one stopped;
# five minutes before its time limit a job is told to save.
SLURM=(${PARTITION:+--partition "$PARTITION"} ${ACCOUNT:+--account "$ACCOUNT"} ${QOS:+--qos "$QOS"})
HOURS=${HOURS:-24}                          # of one job
# 16 minutes on 8 V100 in fp16; the log of your first epoch tells yours.
EPOCH_MINUTES=${EPOCH_MINUTES:-$(((minutes + GPUS - 1) / GPUS))}
SLURM_TRAIN_JOBS=${SLURM_TRAIN_JOBS:-}      # jobs of a chain; empty: as many as its epochs take, and one more
SLURM_TRAIN=(--nodes "$NODES" --ntasks-per-node $((GPUS / NODES)) --gres "gpu:$((GPUS / NODES))" --cpus-per-task 5
    --mem 200G --time "$HOURS:00:00" --signal TERM@300)
SLURM_GPU=(--gres gpu:1 --cpus-per-task 8 --mem 32G --time 12:00:00)
SLURM_PROBE=(--gres gpu:1 --cpus-per-task 16 --mem 64G --time 12:00:00)
SLURM_PROBE_AT_ONCE=${SLURM_PROBE_AT_ONCE:-2}  # levels encoded at the same time: 145 GB of disk each
SLURM_CPU=(--cpus-per-task 16 --mem 32G --time 12:00:00)

for name in EPOCHS ITERATIONS AVERAGE HOURS EPOCH_MINUTES; do
    [[ ${!name} =~ ^[0-9]{1,5}$ && $name${!name} != HOURS0 ]] || refuse "$name=${!name}: give a whole number"
done

# Disk in GB (README.md has the sums): corpus, checkpoint, dump of a level, its word representations while it is probed.
DATA_GB=8 CHECKPOINT_GB=2.1 DUMP_GB=7.5 REPS_GB=145
[ "$PRECISION" = fp16 ] || CHECKPOINT_GB=2.6

# SMOKE=1: every script once on two cores, on a tiny corpus in the same layouts that 00_data.sh makes up. The model and
# its flags stay; the epochs, the prunings, the corpora and what needs a GPU are less.
if [ -n "${SMOKE-}" ]; then
    PAIRS=(80 8 20) BPE_SIZE=80 DICTIONARY=1000 EPOCHS=2 REWIND=(1) ITERATIONS=1 CALIBRATION=1 AVERAGE=2 GPUS=1 NODES=1
    TRAIN_DEVICE=(--cpu --max-tokens 1000) DEVICE=(--cpu) PROBE=() MLP_PROBE=()
    SLURM_TRAIN=(--ntasks 1 --cpus-per-task 2 --mem 12G --time 2:00:00 --signal TERM@300)
    SLURM_GPU=(--cpus-per-task 2 --mem 12G --time 2:00:00) DATA_GB=0.1 DUMP_GB=0.1 REPS_GB=0.1
    SLURM_PROBE=("${SLURM_GPU[@]}") SLURM_CPU=("${SLURM_GPU[@]}")
    OPTIMISATION+=(--log-interval 1)
    GENERATE+=(--max-len-a 0 --max-len-b 10)
fi
