"""One curation pass: the findings of its rules, the verdicts that follow, the receipt."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation.burned_in.pixels import PixelCuration
from qoqdata.curation.leakage import find_leaks
from qoqdata.curation.phi import PhiReceipt, scan_texts, write_phi_receipt
from qoqdata.curation.recipe import Accepted, CurationRecipe, Leakage
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.side_table import read_side_table

PHI, LEAKAGE = "phi", "leakage"


@dataclass(frozen=True)
class Curation:
    """What a pass decided. `findings` of protected health information have a column `outcome`:
    dropped, accepted or open; `leaks` one: dropped or reported, and are None where none were looked
    for, as `pixels` are."""

    findings: pl.DataFrame
    leaks: pl.DataFrame | None
    verdicts: pl.DataFrame
    phi: PhiReceipt
    pixels: PixelCuration | None = None


def curate(
    dataset: Dataset,
    recipe: CurationRecipe,
    progress: ProgressCallback = silent,
) -> Curation:
    """Run the rules over all texts and images and write curation/: verdicts, findings, receipt.

    A record with an open finding is dropped or left open, as the recipe says; findings it accepts
    change nothing. A record that shows an image of a later split is dropped or reported. Verdicts
    of other rules are kept. `progress` hears of records whose images were looked at, and their
    total.
    """
    findings = scan_texts(dataset)
    harmless = pl.any_horizontal(pl.lit(False), *map(_matches, recipe.phi.accept))
    doubtful = "dropped" if recipe.phi.on_finding == "drop" else "open"
    findings = findings.with_columns(
        outcome=pl.when(harmless).then(pl.lit("accepted")).otherwise(pl.lit(doubtful))
    )
    leaks = _leaks(dataset, recipe.leakage, progress)
    own = [_of_phi(findings)] if leaks is None else [_of_phi(findings), _of_leaks(leaks)]
    verdicts = _with_others(dataset, own)
    layout = dataset.layout
    with replacing(layout.verdicts) as draft:
        pq.write_table(verdicts.to_arrow().cast(arrow_schema(VERDICTS)), draft, compression="zstd")
    for path, table in ((layout.phi_findings, findings), (layout.leakage_findings, leaks)):
        if table is None:
            path.unlink(missing_ok=True)
            continue
        with replacing(path) as draft:
            table.write_parquet(draft)
    counts = dict(findings.group_by("outcome").agg(n=pl.len()).iter_rows())
    phi = write_phi_receipt(
        dataset,
        findings,
        dropped=counts.get("dropped", 0),
        accepted=counts.get("accepted", 0),
    )
    return Curation(findings, leaks, verdicts, phi)


def _leaks(dataset: Dataset, recipe: Leakage, progress: ProgressCallback) -> pl.DataFrame | None:
    if recipe.on_finding == "skip":
        return None
    leaks = find_leaks(
        dataset, radius=recipe.radius, correlation=recipe.correlation, progress=progress
    )
    outcome = "dropped" if recipe.on_finding == "drop" else "reported"
    return leaks.with_columns(outcome=pl.lit(outcome))


def _matches(accepted: Accepted) -> pl.Expr:
    fields = accepted.model_dump(include={"rule", "id", "source", "column"}, exclude_none=True)
    return pl.all_horizontal(pl.col(name) == value for name, value in fields.items())


def _of_phi(findings: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on records with protected health information."""
    records = (
        findings.filter(pl.col("outcome") == "dropped")
        .group_by("id")
        .agg(kinds=pl.col("rule").unique().sort(), columns=pl.col("column").unique().sort())
    )
    lists = (pl.col(name).list.join(", ") for name in ("kinds", "columns"))
    return _drop(records, PHI, pl.format("{} in {}", *lists), pl.lit(None, pl.String))


def _of_leaks(leaks: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on records that show an image of a later split; the likest one is the evidence."""
    records = (
        leaks.filter(pl.col("outcome") == "dropped")
        .sort("id", "correlation", "other", descending=[False, True, False])
        .group_by("id", maintain_order=True)
        .first()
    )
    reason = pl.format("shows an image of the {} split", "other_split")
    return _drop(records, LEAKAGE, reason, pl.col("other"))


def _drop(records: pl.DataFrame, rule: str, reason: pl.Expr, evidence: pl.Expr) -> pl.DataFrame:
    """A verdict that drops each of the records."""
    return records.select(
        "id", keep=pl.lit(False), rule=pl.lit(rule), reason=reason, evidence=evidence
    )


def _with_others(dataset: Dataset, own: list[pl.DataFrame]) -> pl.DataFrame:
    """The verdicts of this pass and those of rules that are not its own."""
    path = dataset.layout.verdicts
    if path.is_file():
        fix = "put the verdicts of other rules there again, or remove the file and lose them"
        others = read_side_table(path, VERDICTS, fix=fix)
        others = others.filter(~pl.col("rule").is_in([PHI, LEAKAGE]))
        own = [others.select(own[0].columns), *own]
    return pl.concat(own).sort("id", "rule")
