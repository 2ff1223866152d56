"""Training, measured: step time against TRL, and a real small language model that learns."""
