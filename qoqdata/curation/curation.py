"""One curation pass: findings, verdicts, receipt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation.leakage.search import search
from qoqdata.curation.phi import receipt as receipts
from qoqdata.curation.phi.receipt import PhiReceipt
from qoqdata.curation.phi.scan import scan_texts
from qoqdata.curation.recipe import Accepted, CurationRecipe, Leakage
from qoqdata.dataset import Dataset

PHI, LEAKAGE = "phi", "leakage"


@dataclass(frozen=True)
class Curation:
    """What a pass decided. `findings` of protected health information have a column `outcome`:
    dropped, accepted or open; `leaks` one: dropped or reported, and are None where none were looked
    for."""

    findings: pl.DataFrame
    leaks: pl.DataFrame | None
    verdicts: pl.DataFrame
    phi: PhiReceipt


def curate(
    dataset: Dataset, recipe: CurationRecipe, told: Callable[[int, int], None] = lambda *_: None
) -> Curation:
    """Run the rules over all texts and images and write curation/: verdicts, findings, receipt.

    A record with an open finding is dropped or left open, as the recipe says; findings it accepts
    change nothing. A record that shows an image of a later split is dropped or reported. Verdicts
    of other rules are kept. `told` hears of records whose images were looked at, and their total.
    """
    found = scan_texts(dataset)
    harmless = pl.any_horizontal(pl.lit(False), *map(_matches, recipe.phi.accept))
    doubtful = "dropped" if recipe.phi.on_finding == "drop" else "open"
    found = found.with_columns(
        outcome=pl.when(harmless).then(pl.lit("accepted")).otherwise(pl.lit(doubtful))
    )
    leaks = _leaks(dataset, recipe.leakage, told)
    decided = [_private(found)] if leaks is None else [_private(found), _leaked(leaks)]
    verdicts = _with_others(dataset, decided)
    layout = dataset.layout
    with replacing(layout.verdicts) as draft:
        pq.write_table(verdicts.to_arrow().cast(arrow_schema(VERDICTS)), draft, compression="zstd")
    for path, table in ((layout.phi_findings, found), (layout.leakage_findings, leaks)):
        if table is None:
            path.unlink(missing_ok=True)
            continue
        with replacing(path) as draft:
            table.write_parquet(draft)
    counts = dict(found.group_by("outcome").agg(n=pl.len()).iter_rows())
    phi = receipts.write_phi_receipt(
        dataset,
        found,
        dropped=counts.get("dropped", 0),
        accepted=counts.get("accepted", 0),
    )
    return Curation(found, leaks, verdicts, phi)


def _leaks(
    dataset: Dataset, recipe: Leakage, told: Callable[[int, int], None]
) -> pl.DataFrame | None:
    if recipe.on_finding == "skip":
        return None
    found = search(dataset, radius=recipe.radius, correlation=recipe.correlation, told=told)
    outcome = "dropped" if recipe.on_finding == "drop" else "reported"
    return found.with_columns(outcome=pl.lit(outcome))


def _matches(accepted: Accepted) -> pl.Expr:
    given = accepted.model_dump(include={"rule", "id", "source", "column"}, exclude_none=True)
    return pl.all_horizontal(pl.col(name) == value for name, value in given.items())


def _private(found: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on records with protected health information."""
    dropped = (
        found.filter(pl.col("outcome") == "dropped")
        .group_by("id")
        .agg(kinds=pl.col("rule").unique().sort(), columns=pl.col("column").unique().sort())
    )
    lists = (pl.col(name).list.join(", ") for name in ("kinds", "columns"))
    return _drop(dropped, PHI, pl.format("{} in {}", *lists), pl.lit(None, pl.String))


def _leaked(leaks: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on records that show an image of a later split; the likest one is the evidence."""
    dropped = (
        leaks.filter(pl.col("outcome") == "dropped")
        .sort("id", "correlation", "other", descending=[False, True, False])
        .group_by("id", maintain_order=True)
        .first()
    )
    reason = pl.format("shows an image of the {} split", "other_split")
    return _drop(dropped, LEAKAGE, reason, pl.col("other"))


def _drop(records: pl.DataFrame, rule: str, reason: pl.Expr, evidence: pl.Expr) -> pl.DataFrame:
    """A verdict that drops each of the records."""
    return records.select(
        "id", keep=pl.lit(False), rule=pl.lit(rule), reason=reason, evidence=evidence
    )


def _with_others(dataset: Dataset, decided: list[pl.DataFrame]) -> pl.DataFrame:
    """The verdicts of this pass and those of rules that are not its own."""
    path = dataset.layout.verdicts
    if path.is_file():
        others = pl.read_parquet(path, glob=False).filter(~pl.col("rule").is_in([PHI, LEAKAGE]))
        decided = [others.select(decided[0].columns), *decided]
    return pl.concat(decided).sort("id", "rule")
