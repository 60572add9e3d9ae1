"""Formats of other tools, one module each: what is written for them and read from them."""
