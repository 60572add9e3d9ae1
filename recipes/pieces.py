"""One joined sentencepiece model of training text, and text cut by it, as fairseq's `--bpe sentencepiece` cuts words.

    python pieces.py train --size 4000 --model sentencepiece.model --text train.de train.en
    python pieces.py encode --model sentencepiece.model < train.de > pieces.de

The model is a unigram model (Kudo & Richardson 2018) of at most SIZE pieces; a small text has fewer.
"""

from __future__ import annotations

import argparse
import sys

import sentencepiece


def main() -> int:
    """Trains or encodes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["train", "encode"])
    parser.add_argument("--model", required=True, help="the model's file, whose name ends in .model")
    parser.add_argument("--size", type=int, help="train: the most pieces that the model has")
    parser.add_argument("--text", nargs="+", help="train: files of all languages, one sentence a line")
    arguments = parser.parse_args()
    if arguments.what == "train":
        if not arguments.model.endswith(".model") or arguments.text is None or arguments.size is None:
            parser.error("train: give --size, --text and a --model whose name ends in .model")
        sentencepiece.SentencePieceTrainer.train(
            input=arguments.text,
            model_prefix=arguments.model.removesuffix(".model"),
            vocab_size=arguments.size,
            hard_vocab_limit=False,
        )
        return 0
    model = sentencepiece.SentencePieceProcessor(model_file=arguments.model)
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(" ".join(model.encode(line.decode().rstrip("\r\n"), out_type=str)).encode() + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
