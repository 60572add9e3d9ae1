"""The dump of sentence pairs: every layer and attention head on every token (HDF5)."""
