"""What gives a person away in running text: the identifiers of HIPAA's safe harbour
(45 CFR 164.514(b)(2)(i)) that a pattern can tell.

A pattern is meant to find too much rather than too little: a finding is looked at, a miss leaves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

#: Raise it when a rule changes: what was scanned under older rules has to be scanned again.
VERSION = 1

_MONTH = "(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*"


@dataclass(frozen=True)
class Rule:
    """One kind of identifier."""

    name: str
    pattern: re.Pattern[str]
    doc: str


def _rule(name: str, pattern: str, doc: str, *, case: bool = False) -> Rule:
    return Rule(name, re.compile(pattern, 0 if case else re.IGNORECASE), doc)


RULES = (
    _rule("email", r"[\w.+-]+@[\w-]+\.[\w.-]+", "electronic mail address"),
    _rule("url", r"\b(?:https?|ftp)://\S+|\bwww\.\S+\.\S+", "web address"),
    _rule("ip_address", r"\b(?:\d{1,3}\.){3}\d{1,3}\b", "network address"),
    _rule(
        "phone",
        r"(?<![\w.])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,5}\)[ .-]?|\d{3}[ .-])\d{3}[ .-]\d{3,4}(?!\w)",
        "telephone or fax number",
    ),
    _rule("ssn", r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)", "social security number"),
    _rule(
        "record_number",
        r"\b(?:mrn|medical record|accession|patient id|account|case no)\b\W{0,12}"
        r"(?:(?:number|no|nr|id)\b\W{0,4})?[a-z]{0,4}\d{4,}",
        "record, accession or account number",
    ),
    _rule(
        "date",
        r"(?<![\d./-])(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2(?:19|20)?\d{2})(?![\d/-])"
        rf"|\b\d{{1,2}}(?:st|nd|rd|th)?[ .-]+{_MONTH}[ .,-]+\d{{2,4}}\b"
        rf"|\b{_MONTH}[ .]+\d{{1,2}}(?:st|nd|rd|th)?,? +\d{{4}}\b",
        "date more exact than its year",
    ),
    _rule(
        "person",
        r"\b(?:Dr|Prof|Mr|Mrs|Ms|Miss|Herr|Frau|Mme|M)\b\.? +(?:[A-Z]\.? +)?[A-Z][a-z]{2,}",
        "title and name",
        case=True,
    ),
    _rule(
        "named",
        r"\b(?i:patient name|name of patient|patient's name|signed by|dictated by|read by|"
        r"reported by)\b\W{0,4}[A-Z][\w'-]+",
        "words that introduce a name",
        case=True,
    ),
    _rule("old_age", r"\b(?:9[1-9]|1[01]\d)[ -]?(?:years?|y/?o|yrs?)\b", "age above 90"),
)
