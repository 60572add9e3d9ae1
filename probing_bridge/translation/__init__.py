"""Translation quality of the levels: BLEU and chrF++ with their paired tests."""
