"""The levels a run leaves: files, records, checks and exports."""
