"""Sums over tokens that the measures are made of, block by block."""
