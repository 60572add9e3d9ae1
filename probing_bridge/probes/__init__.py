"""Probes: small classifiers on frozen features, all layers of a model trained at once.

After Liu et al. (2019, "Linguistic Knowledge and Transferability of Contextual Representations"). "The original" is
their code, github.com/nelson-liu/contextual-repr-analysis: paths that start with `contexteval/` are files of it.
"""
