"""Collections: published sets of sources as data, what of one is on a disk, and its counts."""
