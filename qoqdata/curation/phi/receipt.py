"""The receipt of a scan: over which data, under which rules, and what is still open."""

from __future__ import annotations

import polars as pl
from pydantic import BaseModel, ConfigDict, ValidationError

from qoqdata.atomic import write_json
from qoqdata.curation.phi.rules import VERSION
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError


class PhiReceipt(BaseModel):
    """`open` findings are those of records that stay and that nobody has accepted."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
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
        rules=VERSION,
        records=sum(shard.rows for shard in dataset.manifest.shards),
        findings=dict(by_rule.iter_rows()),
        dropped=dropped,
        accepted=accepted,
        open=findings.height - dropped - accepted,
    )
    write_json(dataset.layout.phi_receipt, receipt.model_dump())
    return receipt


def require(dataset: Dataset) -> PhiReceipt:
    """The receipt of a scan that covers the data as they are and left nothing open.

    Raises DatasetError when the rules have not run, ran over other data or older rules, or when
    findings are open.
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
    if receipt.rules != VERSION:
        raise DatasetError("the PHI rules have changed since", where=str(path), fix=fix)
    if receipt.open:
        what = f"{receipt.open} PHI findings are open"
        raise DatasetError(what, where=str(path), fix="drop or accept them with qoqdata curate")
    return receipt
