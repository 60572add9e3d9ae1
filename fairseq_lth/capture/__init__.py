"""Hidden states and attention while a model runs: hooks, dumps, words."""
