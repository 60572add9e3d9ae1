"""Which weights go: prunable parameters, scores, masks. Of any model of torch; plugin and bridge share it."""
