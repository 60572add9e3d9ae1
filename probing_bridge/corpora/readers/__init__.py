"""Readers of the corpus formats: text in, instances out. One module per format; the table of tasks is in `tasks`."""
