"""Check a data set on disk against everything it promises."""
