"""Translation quality of the levels: BLEU with its paired tests."""
