"""The contract as data: record, statistics, manifest and card schemas."""
