"""Models of Hugging Face's transformers: opened safely, encoded, dumped, pruned."""
