"""The pass over the pixels: findings, what the recipe decides about them, verdicts, receipt."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import file_digest, replacing, write_json
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation.burned_in.findings import find_burned_in
from qoqdata.curation.burned_in.page import FindingsPage
from qoqdata.curation.burned_in.receipt import (
    RULES_VERSION,
    BurnedInReceipt,
    SourceLooked,
)
from qoqdata.curation.burned_in.recogniser import recogniser_name
from qoqdata.curation.recipe import AcceptedPixels, BurnedIn
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.side_table import read_side_table

RULE = "burned_in"


@dataclass(frozen=True)
class PixelCuration:
    """What a pass over the pixels found and decided: `findings` have a column `outcome`."""

    findings: pl.DataFrame
    receipt: BurnedInReceipt


def curate_pixels(
    dataset: Dataset,
    recipe: BurnedIn,
    sources: Collection[str],
    progress: ProgressCallback = silent,
) -> PixelCuration:
    """Look for text burned into the images of `sources`, and write curation/: findings, a page that
    shows them, a receipt; and verdicts on records that the recipe drops. Other verdicts stay.

    Raises InputError for an image that cannot be decoded.
    """
    ocr, page = recogniser_name(), FindingsPage()
    looked = find_burned_in(
        dataset, sources, ocr=ocr is not None, shown=page.add, progress=progress
    )
    findings = looked.findings.with_columns(outcome=_outcome(recipe))
    layout = dataset.layout
    with replacing(layout.burned_in_findings) as draft:
        findings.write_parquet(draft)
    page.write(layout.burned_in_page)
    _write_verdicts(dataset, findings)
    counts = findings.group_by("source", "outcome").agg(n=pl.len()).sort("source", "outcome")
    receipt = BurnedInReceipt(
        data=dataset.manifest.digest,
        findings=file_digest(layout.burned_in_findings),
        rules=RULES_VERSION,
        ocr=ocr,
        sources={
            source: SourceLooked(
                images=images,
                outcomes={o: n for slug, o, n in counts.iter_rows() if slug == source},
            )
            for source, images in looked.images.items()
        },
    )
    write_json(layout.burned_in_receipt, receipt.model_dump())
    return PixelCuration(findings, receipt)


def _outcome(recipe: BurnedIn) -> pl.Expr:
    harmless = pl.any_horizontal(pl.lit(False), *map(_matches, recipe.accept))
    # A tag has no box to blank.
    decided = "dropped" if recipe.on_finding == "drop" else recipe.on_finding
    without_box = "open" if recipe.on_finding == "blank" else decided
    return (
        pl.when(pl.col("kind") == "marker")
        .then(pl.lit("marker"))
        .when(harmless)
        .then(pl.lit("accepted"))
        .when(pl.col("kind") == "tag")
        .then(pl.lit(without_box))
        .otherwise(pl.lit(decided))
    )


def _matches(accepted: AcceptedPixels) -> pl.Expr:
    fields = accepted.model_dump(exclude={"why"}, exclude_none=True)
    return pl.all_horizontal(pl.col(name) == value for name, value in fields.items())


def _write_verdicts(dataset: Dataset, findings: pl.DataFrame) -> None:
    """The verdicts with this rule's own in place of its former ones."""
    path = dataset.layout.verdicts
    reason = pl.format("text burned into image {}", "image")
    dropped = findings.filter(pl.col("outcome") == "dropped").unique("id", keep="first")
    own = dropped.select(
        "id",
        keep=pl.lit(False),
        rule=pl.lit(RULE),
        reason=reason,
        evidence=pl.lit(None, pl.String),
    )
    if path.is_file():
        fix = "put the verdicts of other rules there again, or remove the file and lose them"
        others = read_side_table(path, VERDICTS, fix=fix).filter(pl.col("rule") != RULE)
        own = pl.concat([others.select(own.columns), own])
    with replacing(path) as draft:
        table = own.sort("id", "rule").to_arrow().cast(arrow_schema(VERDICTS))
        pq.write_table(table, draft, compression="zstd")
