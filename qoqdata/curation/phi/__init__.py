"""Protected health information in a data set's texts: rules, the scan, its receipt.

The rules look for the identifiers of HIPAA's safe harbour (45 CFR 164.514(b)(2)(i)). Each module
has the rules of one kind and a `find(text)`; lists of words lie under `data/`. What they find and
miss is measured in `tests/curation/phi`.
"""

from __future__ import annotations

from qoqdata.curation.phi.receipt import PhiReceipt, require_phi_receipt, write_phi_receipt
from qoqdata.curation.phi.recogniser import Recogniser
from qoqdata.curation.phi.rule import Span
from qoqdata.curation.phi.rules import RULES_VERSION, find
from qoqdata.curation.phi.scan import FINDINGS, scan_texts

__all__ = [
    "FINDINGS",
    "RULES_VERSION",
    "PhiReceipt",
    "Recogniser",
    "Span",
    "find",
    "require_phi_receipt",
    "scan_texts",
    "write_phi_receipt",
]
