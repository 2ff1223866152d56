"""One curation pass: findings, verdicts, receipt."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.curate.phi import receipt as receipts
from qoqdata.curate.phi.receipt import Receipt
from qoqdata.curate.phi.scan import scan
from qoqdata.curate.recipe import Accepted, Recipe
from qoqdata.dataset import Dataset
from schemas.arrow import arrow_schema
from schemas.side_tables import VERDICTS

RULE = "phi"


@dataclass(frozen=True)
class Curation:
    """What a pass decided. `findings` has a column `outcome`: dropped, accepted or open."""

    findings: pl.DataFrame
    verdicts: pl.DataFrame
    phi: Receipt


def curate(dataset: Dataset, recipe: Recipe) -> Curation:
    """Run the rules over all texts and write curation/: verdicts, findings and receipt.

    A record with an open finding is dropped or left open, as the recipe says; findings it accepts
    change nothing. Verdicts of other rules are kept.
    """
    found = scan(dataset)
    harmless = pl.any_horizontal(pl.lit(False), *map(_matches, recipe.phi.accept))
    doubtful = "dropped" if recipe.phi.on_finding == "drop" else "open"
    found = found.with_columns(
        outcome=pl.when(harmless).then(pl.lit("accepted")).otherwise(pl.lit(doubtful))
    )
    verdicts = _verdicts(dataset, found)
    layout = dataset.layout
    with replacing(layout.verdicts) as draft:
        pq.write_table(verdicts.to_arrow().cast(arrow_schema(VERDICTS)), draft, compression="zstd")
    with replacing(layout.phi_findings) as draft:
        found.write_parquet(draft)
    counts = dict(found.group_by("outcome").agg(n=pl.len()).iter_rows())
    phi = receipts.write(
        dataset,
        found,
        dropped=counts.get("dropped", 0),
        accepted=counts.get("accepted", 0),
    )
    return Curation(found, verdicts, phi)


def _matches(accepted: Accepted) -> pl.Expr:
    given = accepted.model_dump(include={"rule", "id", "source", "column"}, exclude_none=True)
    return pl.all_horizontal(pl.col(name) == value for name, value in given.items())


def _verdicts(dataset: Dataset, found: pl.DataFrame) -> pl.DataFrame:
    dropped = (
        found.filter(pl.col("outcome") == "dropped")
        .group_by("id")
        .agg(kinds=pl.col("rule").unique().sort(), columns=pl.col("column").unique().sort())
        .select(
            "id",
            keep=pl.lit(False),
            rule=pl.lit(RULE),
            reason=pl.format(
                "{} in {}", pl.col("kinds").list.join(", "), pl.col("columns").list.join(", ")
            ),
            evidence=pl.lit(None, pl.String),
        )
    )
    path = dataset.layout.verdicts
    if path.is_file():
        others = pl.read_parquet(path, glob=False).filter(pl.col("rule") != RULE)
        dropped = pl.concat([others.select(dropped.columns), dropped])
    return dropped.sort("id", "rule")
