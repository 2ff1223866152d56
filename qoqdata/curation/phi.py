"""Protected health information in a data set's texts: the rules, the scan, and its receipt.

The rules are the identifiers of HIPAA's safe harbour (45 CFR 164.514(b)(2)(i)) that a pattern can
tell. A pattern is meant to find too much rather than too little: a finding is looked at, a miss
leaves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from qoqdata.atomic import file_digest, write_json
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError

#: Raise it when a rule changes: what was scanned under older rules has to be scanned again.
RULES_VERSION = 1

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

#: Columns that hold running text.
TEXTS = ("context", "question", "answer", "reasoning")

FINDINGS = {
    "id": pl.String,
    "source": pl.String,
    "column": pl.String,
    "rule": pl.String,
    "start": pl.Int32,
    "length": pl.Int32,
}


def scan_texts(dataset: Dataset) -> pl.DataFrame:
    """Every match of every rule: record id, source, column, rule, and place in the text.

    `start` and `length` count characters. The matched text itself stays where it is, so that the
    table of findings is no second place to protect.
    """
    # Those of records that were dropped before, too: a verdict may be taken back.
    frame = dataset.files.records().select("id", "source", *TEXTS).collect()
    rows = [row for column in TEXTS for row in _column(frame, column)]
    return pl.DataFrame(rows, schema=FINDINGS, orient="row").sort("id", "column", "start", "rule")


def _column(frame: pl.DataFrame, column: str) -> Iterator[tuple[str, str, str, str, int, int]]:
    # Questions repeat by the million: each distinct text is searched once.
    texts = frame.select(column).drop_nulls().unique().get_column(column)
    matches = {text: places for text in texts if (places := _matches(text))}
    hits = frame.filter(pl.col(column).is_in(list(matches)))
    for id_, source, text in hits.select("id", "source", column).iter_rows():
        for rule, start, length in matches[text]:
            yield id_, source, column, rule, start, length


def _matches(text: str) -> list[tuple[str, int, int]]:
    return [
        (rule.name, match.start(), match.end() - match.start())
        for rule in RULES
        for match in rule.pattern.finditer(text)
    ]


class PhiReceipt(BaseModel):
    """`open` findings are those of records that stay and that nobody has accepted; `verdicts` is
    the sha256 of the verdicts that the pass left, without which dropped records would leave."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    verdicts: str
    rules: int
    records: int
    findings: dict[str, int]
    dropped: int
    accepted: int
    open: int


def write_phi_receipt(
    dataset: Dataset, findings: pl.DataFrame, *, dropped: int, accepted: int
) -> PhiReceipt:
    """Write the receipt beside the findings table."""
    by_rule = findings.group_by("rule").agg(n=pl.len()).sort("rule")
    receipt = PhiReceipt(
        data=dataset.manifest.digest,
        verdicts=file_digest(dataset.layout.verdicts),
        rules=RULES_VERSION,
        records=sum(shard.rows for shard in dataset.manifest.shards),
        findings=dict(by_rule.iter_rows()),
        dropped=dropped,
        accepted=accepted,
        open=findings.height - dropped - accepted,
    )
    write_json(dataset.layout.phi_receipt, receipt.model_dump())
    return receipt


def require_phi_receipt(dataset: Dataset) -> PhiReceipt:
    """The receipt of a scan that covers the data as they are and left nothing open.

    Raises DatasetError when the rules have not run, ran over other data or older rules, when the
    verdicts are not those that they left, or when findings are open.
    """
    path = dataset.layout.phi_receipt
    fix = f"qoqdata curate {dataset.root}"
    try:
        receipt = PhiReceipt.model_validate_json(path.read_bytes())
    except FileNotFoundError as error:
        raise DatasetError("the PHI rules have not run", where=str(path), fix=fix) from error
    except ValidationError as error:
        raise DatasetError("is not a PHI receipt", where=str(path), fix=fix) from error
    if receipt.data != dataset.manifest.digest:
        raise DatasetError("the PHI rules ran over other data", where=str(path), fix=fix)
    verdicts = dataset.layout.verdicts
    if not verdicts.is_file() or file_digest(verdicts) != receipt.verdicts:
        what = "are not those that curation left"
        raise DatasetError(what, where=str(verdicts), fix=f"{fix}, which writes them anew")
    if receipt.rules != RULES_VERSION:
        raise DatasetError("the PHI rules have changed since", where=str(path), fix=fix)
    if receipt.open:
        what = f"{receipt.open} PHI findings are open"
        raise DatasetError(what, where=str(path), fix="drop or accept them with qoqdata curate")
    return receipt
