"""Publishing: what may leave, as what, and to where."""
