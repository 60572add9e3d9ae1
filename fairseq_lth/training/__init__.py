"""Train, prune, rewind, retrain: the engine, its schedule, and where a training starts."""
