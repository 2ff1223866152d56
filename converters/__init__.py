"""Sources that ship with qoqdata: one folder each, by clinical domain."""
