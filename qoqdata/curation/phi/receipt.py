"""The receipt of a scan: what was searched, by which rules, and what is left to decide."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from qoqdata.atomic import file_digest, write_json
from qoqdata.curation.phi.rules import RULES_VERSION
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError


class PhiReceipt(BaseModel):
    """Findings by rule and by language, and how many of them have which outcome.

    Those of dropped and of held records do not leave; `open` ones are those of records that stay
    and that nobody has accepted. `verdicts` is the sha256 of the verdicts that the pass left,
    without which dropped records would leave. `recogniser` joined the rules, if any.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    verdicts: str
    rules: int
    records: int
    findings: dict[str, int]
    languages: dict[str, int] = {}
    recogniser: str | None = None
    dropped: int
    held: int = 0
    accepted: int
    open: int


def write_phi_receipt(
    dataset: Dataset, findings: pl.DataFrame, *, recogniser: str | None = None
) -> PhiReceipt:
    """Write the receipt of findings, whose column `outcome` says what became of them."""
    outcomes = _counts(findings, "outcome")
    receipt = PhiReceipt(
        data=dataset.manifest.digest,
        verdicts=file_digest(dataset.layout.verdicts),
        rules=RULES_VERSION,
        records=sum(shard.rows for shard in dataset.manifest.shards),
        findings=dict(_counts(findings, "rule")),
        languages=dict(_counts(findings, "language")),
        recogniser=recogniser,
        dropped=outcomes.get("dropped", 0),
        held=outcomes.get("held", 0),
        accepted=outcomes.get("accepted", 0),
        open=outcomes.get("open", 0),
    )
    write_json(dataset.layout.phi_receipt, receipt.model_dump())
    return receipt


def _counts(findings: pl.DataFrame, column: str) -> Mapping[str, int]:
    return dict(findings.group_by(column).agg(n=pl.len()).sort(column).iter_rows())


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
