"""Annotated corpora: the eighteen tasks, suites, and a reader for each file format."""
