"""What a pass over the pixels leaves: its receipt, and the reviews of people, bound to digests."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import polars as pl
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from qoqdata.atomic import file_digest, write_json
from qoqdata.curation.burned_in.findings import FINDINGS
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.side_table import read_findings_table

#: Raise it when the screen changes: what was looked at by an older one is looked at again.
RULES_VERSION = 2
#: What was decided about a finding. Markers are no findings.
OUTCOMES = ("open", "blank", "dropped", "accepted", "marker")


class SourceLooked(BaseModel):
    """Distinct images of a source that were looked at, and findings in its records by outcome."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    images: int
    outcomes: dict[str, int]


class BurnedInReceipt(BaseModel):
    """`data` is the digest of the data set, `findings` the sha256 of their table, `ocr` name and
    version of what read the marks, None where the screen alone decided."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    findings: str
    rules: int
    ocr: str | None
    sources: dict[str, SourceLooked]

    @property
    def open(self) -> int:
        return sum(source.outcomes.get("open", 0) for source in self.sources.values())


class Review(BaseModel):
    """That a person looked through the images of a source, as they and their findings were."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reviewer: str = Field(min_length=1)
    reviewed: str = Field(description="date, UTC")
    data: str
    findings: str


class Reviews(BaseModel):
    """Reviews by source. The file stays at home: nothing of it is in a release."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sources: dict[str, Review] = {}


_Model = TypeVar("_Model", bound=BaseModel)


def read_receipt(dataset: Dataset) -> BurnedInReceipt:
    """The receipt of a pass that covers the data as they are, with its findings as it left them.

    Raises DatasetError where there is none, or it is of other data, findings or an older screen.
    """
    path, fix = dataset.layout.burned_in_receipt, f"qoqdata curate {dataset.root} --burned-in"
    receipt = _read(path, BurnedInReceipt, fix)
    if receipt is None:
        what = "nobody has looked for text burned into the images"
        raise DatasetError(what, where=str(path), fix=fix)
    table = dataset.layout.burned_in_findings
    if receipt.data != dataset.manifest.digest:
        what = "text burned into the images was looked for in other data"
        raise DatasetError(what, where=str(path), fix=fix)
    if receipt.rules != RULES_VERSION:
        what = "the screen for text burned into images has changed since"
        raise DatasetError(what, where=str(path), fix=fix)
    if not table.is_file() or file_digest(table) != receipt.findings:
        what = "is not the table of findings that the pass over the images left"
        raise DatasetError(what, where=str(table), fix=fix)
    return receipt


def read_findings(dataset: Dataset) -> pl.DataFrame:
    """The findings with their `outcome`, once `read_receipt` has held them against their digest."""
    columns = FINDINGS | {"outcome": pl.String}
    fix = "run `qoqdata curate --burned-in` again"
    return read_findings_table(dataset.layout.burned_in_findings, columns, fix=fix)


def write_review(dataset: Dataset, source: str, reviewer: str | None) -> Review:
    """Record that `reviewer` (default: who is logged in) looked through a source's images.

    Raises DatasetError without a receipt of a pass that covers them, UsageError without a name.
    """
    receipt = read_receipt(dataset)
    review = Review(
        reviewer=reviewer or _logged_in(),
        reviewed=datetime.now(UTC).date().isoformat(),
        data=receipt.data,
        findings=receipt.findings,
    )
    reviews = read_reviews(dataset).sources | {source: review}
    write_json(dataset.layout.review, Reviews(sources=reviews).model_dump())
    return review


def read_reviews(dataset: Dataset) -> Reviews:
    """All reviews, whether they still hold or not. Raises DatasetError for a damaged file."""
    path = dataset.layout.review
    return _read(path, Reviews, "remove it, and review again with --pixels-reviewed") or Reviews()


def _read(path: Path, model: type[_Model], fix: str) -> _Model | None:
    try:
        return model.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        what = f"is no {'receipt' if model is BurnedInReceipt else 'list of reviews'}"
        raise DatasetError(what, where=str(path), fix=fix) from error


def _logged_in() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError) as error:
        raise UsageError("who has reviewed the images?", where="--reviewer") from error
