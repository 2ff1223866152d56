"""The gate for pixels: nothing leaves that nobody has looked at, or that has open findings."""

from __future__ import annotations

from collections.abc import Collection

import polars as pl

from qoqdata.curation.burned_in.findings import FINDINGS
from qoqdata.curation.burned_in.receipt import (
    BurnedInReceipt,
    Review,
    read_findings,
    read_receipt,
    read_reviews,
)
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.verdicts import without_dropped


def require_clean_pixels(dataset: Dataset, sources: Collection[str]) -> pl.DataFrame:
    """The findings of a pass that covers the images of `sources` as they are.

    Raises DatasetError when the pass has not covered a source that has images; when findings of it
    are open and nobody has reviewed them; and for a private source, which a person must have looked
    through whatever was found, because one line in twenty is missed.
    """
    images = (
        dataset.metadata(["source", "n_images"]).group_by("source").agg(pl.col("n_images").sum())
    )
    leaving = {slug for slug, count in images.iter_rows() if count and slug in sources}
    if not leaving:
        return pl.DataFrame(schema=FINDINGS | {"outcome": pl.String})
    receipt = read_receipt(dataset)
    findings = read_findings(dataset)
    left = without_dropped(findings.filter(pl.col("outcome") == "open"), dataset.layout)
    reviews = read_reviews(dataset).sources
    for slug in sorted(leaving):
        _require(dataset, slug, receipt, left.filter(source=slug).height, reviews.get(slug))
    return findings


def _require(
    dataset: Dataset, slug: str, receipt: BurnedInReceipt, open_: int, review: Review | None
) -> None:
    where = dataset.where
    if slug not in receipt.sources:
        what = f"nobody has looked for text burned into the images of {slug}"
        fix = f"qoqdata curate {dataset.root} --burned-in"
        raise DatasetError(what, where=where, fix=fix)
    if review is not None and (review.data, review.findings) == (receipt.data, receipt.findings):
        return
    page = dataset.layout.burned_in_page
    again = " again: data or findings have changed since" if review is not None else ""
    if open_:
        what = f"{open_} findings of text burned into the images of {slug} are open"
        fix = (
            f"look at {page}; then blank, drop or accept them (burned_in in the recipe of "
            f"qoqdata curate), or say --pixels-reviewed {slug}{again}"
        )
        raise DatasetError(what, where=where, fix=fix)
    if dataset.cards[slug].access == "own":
        what = f"no person has looked for text burned into the images of {slug}"
        fix = f"look through them, then say --pixels-reviewed {slug}{again}"
        raise DatasetError(what, where=where, fix=fix)
