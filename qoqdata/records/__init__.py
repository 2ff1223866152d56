"""What a record is: content, ids, rows, and the rules that `align` and `validate` enforce.

align(table)     a foreign table in the contract's columns, order and types
validate(row)    raises for the first broken rule, naming record id, column and rule
"""

from qoqdata.records.alignment import align
from qoqdata.records.rules import breaches, validate

__all__ = ["align", "breaches", "validate"]
