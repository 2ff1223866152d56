"""What a build will cost: a sample of each source is built, and the rest is reckoned from it."""
