"""A subset of a data set of a given size, within bounds: what is asked, the program that finds it,
and the verdicts that make it."""

from qoqdata.curation.selection.selection import Selection, select, undo_selection
from qoqdata.curation.selection.target import SelectionTarget, load_target
from qoqdata.verdicts import SELECTION as RULE

__all__ = ["RULE", "Selection", "SelectionTarget", "load_target", "select", "undo_selection"]
