"""Who computes: the ranks of a run, the engine that holds the weights, the KL reference."""
