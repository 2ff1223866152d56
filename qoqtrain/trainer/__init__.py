"""Training: from a data set's records to the next checkpoint."""
