"""Probes: small classifiers on frozen features, all layers of a model trained at once (Liu et al. 2019)."""
