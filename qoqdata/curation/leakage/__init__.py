"""Images that stand in two splits, found by what they show rather than by whose they are."""
