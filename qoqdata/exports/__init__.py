"""A data set in the file formats of other trainers, for use where it lies."""
