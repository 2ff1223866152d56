"""From records to what a policy reads, and to what its answers are held against."""
