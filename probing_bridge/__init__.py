"""From activations to probing and similarity results (Movva & Zhao 2020); knows nothing of fairseq."""

__version__ = "0.1.0"
