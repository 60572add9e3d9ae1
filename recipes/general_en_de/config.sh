#!/usr/bin/env bash
# shellcheck disable=SC2034
# Settings of the study on general text: the paper's protocol in proportion, post-norm as in the paper. What is written
# ${NAME:-...}, and every array, can also be given in the environment: DATA=../shared/data SIZE=small SEED=1,2,3 ...
#   SIZE=small  captions, news and everyday sentences, 4 + 4 layers of 128: two cores
#   SIZE=base   documentation as well, 6 + 6 layers of 512: one GPU

# Data
CORPORA=${DATA:-../shared/data}             # the pairs and the corpora of the 18 probing tasks (see README.md)
SUITE=${SUITE:-recipes/open_en_de/suite.yaml}
PAIRS=(train=multi30k/train:29000 train=news_en_de/train:23115 train=tatoeba_en_de/train:16753
    valid=multi30k/val:500 valid=newstest/newstest2013:500
    test=multi30k/test_2016_flickr:1000 test1=newstest/newstest2014:3003)
SOURCE=en TARGET=de
TOKENIZER=(moses)
BPE=subword_nmt BPE_SIZE=8000               # merge operations, English and German together
TEST_SET=(test_2016_flickr newstest2014) REFERENCE=("test.$TARGET" "test1.$TARGET")
METRICS=(sacrebleu chrf++)

# Training: dense epochs, then eight times pruning of 20 %, the learning rate rewound to half of them, and as many as were
# left. docs/LOG.md says what was tried: small batches and a short warm-up are what post-norm needs to learn here.
EXPERIMENTS=${EXPERIMENTS:-magnitude shuffle random control}
SEED=${SEED:-1}
ITERATIONS=${ITERATIONS:-8} RATE=0.2
CALIBRATION=32                              # batches that wanda and gradient look at
case ${SIZE:-small} in
    small)
        EPOCHS=${EPOCHS:-8} REWIND=(4)
        MODEL=(--arch transformer --share-all-embeddings --encoder-layers 4 --decoder-layers 4
            --encoder-embed-dim 128 --decoder-embed-dim 128 --encoder-ffn-embed-dim 512 --decoder-ffn-embed-dim 512
            --encoder-attention-heads 4 --decoder-attention-heads 4 --dropout 0.1)
        rate=(--lr 4e-3 --warmup-updates 1500 --warmup-init-lr 1e-7 --max-tokens 3000)
        TRAIN_DEVICE=(--cpu) DEVICE=(--cpu)
        PROBE=(--layers 0 1 2 3 4) MLP_PROBE=(--layers 4)
        ;;
    base)
        PAIRS+=(train=docs_en_de/train:156041)
        EPOCHS=${EPOCHS:-20} REWIND=(10)
        MODEL=(--arch transformer --share-all-embeddings --dropout 0.1)
        rate=(--lr 7e-4 --warmup-updates 4000 --warmup-init-lr 1e-7 --max-tokens 8000)
        TRAIN_DEVICE=(--fp16) DEVICE=()
        PROBE=() MLP_PROBE=(--layers 6)
        ;;
    *) refuse "SIZE=$SIZE: give small or base" ;;
esac
OPTIMISATION=(--optimizer adam --adam-betas '(0.9, 0.98)' --clip-norm 0.0 --lr-scheduler inverse_sqrt "${rate[@]}"
    --criterion magnitude_mask --base-criterion label_smoothed_cross_entropy --label-smoothing 0.1)

# Evaluation (fairseq 0.12.3 drops a last batch of fewer than 8 sentences unless the multiple is 1)
GENERATE=(--beam 4 --lenpen 0.6 --max-tokens 4000 --required-batch-size-multiple 1)
ANALYSED=${ANALYSED:-$EXPERIMENTS}          # which experiments are also dumped, probed and compared layer by layer
CONTROL_LEVELS=${CONTROL_LEVELS-4 8}        # levels of all but magnitude that are probed; empty: all
DUMP=(--max-tokens 4000)
OUTPUT_K=${OUTPUT_K:-16}                    # most probable tokens that a dump keeps at each target position; 0: none
MLP_TASKS=(ps_fxn ps_role coref syn_arc_prediction sem_arc_prediction)
MLP_LEVELS=${MLP_LEVELS-0 8}                # levels that have MLP probes; empty: all
TAGS=(pos st)                               # tasks whose tags group the tokens that levels are compared on
SIMILARITY=(--pairs within dense)           # what the paper looks at: each level by itself, and with LTH0

# SMOKE=1: every step in minutes, on the first sentences of the same files.
if [ -n "${SMOKE-}" ]; then
    PAIRS=(train=multi30k/train:150 train=news_en_de/train:150 train=tatoeba_en_de/train:100 valid=multi30k/val:20
        valid=newstest/newstest2013:20 test=multi30k/test_2016_flickr:40 test1=newstest/newstest2014:20)
    BPE_SIZE=400 EPOCHS=2 REWIND=(1) ITERATIONS=2 CALIBRATION=2 CONTROL_LEVELS='1 2' MLP_LEVELS='0 2'
    OPTIMISATION+=(--warmup-updates 20)
    GENERATE+=(--max-len-a 0 --max-len-b 20)
fi
