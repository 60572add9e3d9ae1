#!/usr/bin/env bash
# shellcheck disable=SC2034
# Settings of a recipe of your own: small enough for a few thousand pairs and two cores. docs/recipes.md explains each. What
# is written ${NAME:-...}, and every array, can also be given in the environment: CORPUS=$PWD/pairs SOURCE=de TARGET=en ...

# Data: two text files in, a treebank (or other corpora) of the source language to probe with
SOURCE=${SOURCE:-de} TARGET=${TARGET:-en}
CORPUS=${CORPUS:-}                          # PREFIX of PREFIX.$SOURCE and PREFIX.$TARGET
HELD_OUT=(200 200)                          # pairs of valid and of test
TOKENIZER=()                                # none: sentencepiece takes plain text
BPE=${BPE:-sentencepiece} BPE_SIZE=${BPE_SIZE:-4000}
TEST_SET=("${TEST_SET:-test}") REFERENCE=("test.$TARGET")
METRICS=(sacrebleu chrf++)
CORPORA=${CORPORA:-}                        # folder that the paths in the suite start from
SUITE=${SUITE:-$(dirname "$CONFIG")/suite.yaml}

# Training
EXPERIMENTS=${EXPERIMENTS:-magnitude}
SEED=${SEED:-1}
EPOCHS=${EPOCHS:-12} ITERATIONS=${ITERATIONS:-2} RATE=${RATE:-0.2}
REWIND=(9)
CALIBRATION=16
MODEL=(--arch transformer --share-all-embeddings --encoder-layers 2 --decoder-layers 2
    --encoder-embed-dim 128 --decoder-embed-dim 128 --encoder-ffn-embed-dim 256 --decoder-ffn-embed-dim 256
    --encoder-attention-heads 4 --decoder-attention-heads 4 --dropout 0.1)
OPTIMISATION=(--optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 0.0
    --lr-scheduler inverse_sqrt --lr 2e-3 --warmup-updates 200 --warmup-init-lr 1e-7
    --criterion label_smoothed_cross_entropy --label-smoothing 0.1 --max-tokens 1000)
TRAIN_DEVICE=(--cpu)
DEVICE=(--cpu)

# Evaluation (fairseq 0.12.3 drops a last batch of fewer than 8 sentences unless the multiple is 1)
GENERATE=(--beam 4 --lenpen 0.6 --max-tokens 4000 --required-batch-size-multiple 1)
ANALYSED=${ANALYSED:-magnitude}
CONTROL_LEVELS=${CONTROL_LEVELS-}
DUMP=(--max-tokens 4000)
OUTPUT_K=${OUTPUT_K:-16}
PROBE=()
MLP_TASKS=()
MLP_PROBE=()
MLP_LEVELS=${MLP_LEVELS:-}
TAGS=(pos)
SIMILARITY=()

# SMOKE=1: every step in a minute or two, on text that 00_data.sh makes up.
if [ -n "${SMOKE-}" ]; then
    HELD_OUT=(20 20) BPE_SIZE=120 EPOCHS=2 REWIND=(1) ITERATIONS=1
    GENERATE+=(--max-len-a 0 --max-len-b 20)
fi
