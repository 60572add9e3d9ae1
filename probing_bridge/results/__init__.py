"""Result tables read together: levels, probes, similarity, statistics, the paper's numbers."""
