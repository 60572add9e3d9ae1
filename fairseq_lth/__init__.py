"""fairseq plugin: iterative magnitude pruning, activation dumps and word encoding (Movva & Zhao 2020)."""
