#!/usr/bin/env bash
# shellcheck disable=SC2034
# Settings of the quickstart: small enough for two cores and ten minutes, set-up included.
BPE_SIZE=4000                    # BPE merge operations, English and German together
EPOCHS=3 REWIND=2 ITERATIONS=2   # dense epochs, epoch the learning rate is rewound to, prunings
MODEL=(--arch transformer --share-all-embeddings --encoder-layers 3 --decoder-layers 3
    --encoder-embed-dim 128 --decoder-embed-dim 128 --encoder-ffn-embed-dim 256 --decoder-ffn-embed-dim 256
    --encoder-attention-heads 4 --decoder-attention-heads 4 --dropout 0)  # three epochs are too few to learn by heart
OPTIMISATION=(--optimizer adam --adam-betas '(0.9, 0.98)' --lr-scheduler inverse_sqrt --lr 3e-3 --warmup-updates 300
    --criterion label_smoothed_cross_entropy --label-smoothing 0.1 --seed 1
    --max-tokens 500 --required-batch-size-multiple 1)  # of each process; multiples of 8 leave batches emptier
