"""The suite that every source must pass, and the scaffold of a new one that does."""
