"""The measures, one file each, and their registry."""
