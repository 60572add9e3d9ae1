"""Which weights go: prunable parameters, scores, masks, and keeping zeros zero."""
