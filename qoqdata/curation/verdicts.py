"""One curation pass: the findings of its rules, the verdicts that follow, the receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation import decisions
from qoqdata.curation.burned_in.pixels import PixelCuration
from qoqdata.curation.decisions import PersonDecision
from qoqdata.curation.leakage import find_leaks
from qoqdata.curation.phi import PhiReceipt, Recogniser, scan_texts, write_phi_receipt
from qoqdata.curation.phi.recogniser import Presidio
from qoqdata.curation.recipe import CurationRecipe, Decision, Leakage, Phi
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.side_table import read_side_table
from qoqdata.verdicts import PERSON

#: Rules of verdicts. Records that are held are not kept either, until somebody decides.
PHI, HELD, LEAKAGE = "phi", "phi_held", "leakage"


@dataclass(frozen=True)
class Curation:
    """What a pass decided. `findings` of protected health information have a column `outcome`:
    dropped, held, accepted or open; `leaks` one: dropped or reported, and are None where none were
    looked for, as `pixels` are."""

    findings: pl.DataFrame
    leaks: pl.DataFrame | None
    verdicts: pl.DataFrame
    phi: PhiReceipt
    pixels: PixelCuration | None = None


def curate(
    dataset: Dataset,
    recipe: CurationRecipe,
    progress: ProgressCallback = silent,
    *,
    recogniser: Recogniser | None = None,
) -> Curation:
    """Run the rules over all texts and images and write curation/: verdicts, findings, receipt.

    A record with a finding is held back, dropped or left open, as the recipe says; findings it
    accepts change nothing. A record that shows an image of a later split is dropped or reported.
    What people decided is joined; findings that were known to somebody who keeps the record are
    accepted, unless the recipe drops them. Verdicts of other rules are kept. `recogniser` joins the
    rules, in place of the recipe's. `progress` hears of records whose images were looked at, and
    their total.
    """
    if recogniser is None and recipe.phi.presidio:
        recogniser = Presidio(recipe.phi.presidio)
    found = scan_texts(dataset, recogniser)
    leaks = _leaks(dataset, recipe.leakage, progress)
    by_rules = [] if leaks is None else [_of_leaks(leaks)]
    layout = dataset.layout
    name = None if recogniser is None else recogniser.name
    # From here on nobody decides, or the receipt would be of verdicts that lack a decision.
    with decisions.deciding(layout):
        standing = decisions.standing_decisions(layout)
        accepted = decisions.accepted_ids(standing, found)
        findings = found.with_columns(outcome=_outcome(recipe.phi, accepted))
        own = [_of_phi(findings), _of_people(dataset, standing), *by_rules]
        verdicts = _with_others(dataset, own)
        table = verdicts.to_arrow().cast(arrow_schema(VERDICTS))
        with replacing(layout.verdicts) as draft:
            pq.write_table(table, draft, compression="zstd")
        for path, rows in ((layout.phi_findings, findings), (layout.leakage_findings, leaks)):
            if rows is None:
                path.unlink(missing_ok=True)
                continue
            with replacing(path) as draft:
                rows.write_parquet(draft)
        phi = write_phi_receipt(dataset, findings, recogniser=name)
    return Curation(findings, leaks, verdicts, phi)


def _leaks(dataset: Dataset, recipe: Leakage, progress: ProgressCallback) -> pl.DataFrame | None:
    if recipe.on_finding == "skip":
        return None
    leaks = find_leaks(
        dataset, radius=recipe.radius, correlation=recipe.correlation, progress=progress
    )
    outcome = "dropped" if recipe.on_finding == "drop" else "reported"
    return leaks.with_columns(outcome=pl.lit(outcome))


def _outcome(recipe: Phi, accepted: Sequence[str]) -> pl.Expr:
    """What becomes of a finding; those in records of the ids `accepted` were by people."""
    doubtful = {"hold": "held", "drop": "dropped", "open": "open"}[recipe.on_finding]
    return (
        pl.when(_decided(recipe.drop))
        .then(pl.lit("dropped"))
        .when(_decided(recipe.accept) | pl.col("id").is_in(accepted))
        .then(pl.lit("accepted"))
        .otherwise(pl.lit(doubtful))
    )


def _decided(decisions: tuple[Decision, ...]) -> pl.Expr:
    """Whether one of the decisions is about a finding."""
    return pl.any_horizontal(pl.lit(False), *map(_matches, decisions))


def _matches(decision: Decision) -> pl.Expr:
    fields = decision.model_dump(exclude={"why"}, exclude_none=True)
    return pl.all_horizontal(pl.col(name) == value for name, value in fields.items())


def _of_phi(findings: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on records with protected health information; what is dropped is not held."""
    lists = (pl.col(name).list.join(", ") for name in ("kinds", "columns"))
    records = (
        findings.filter(pl.col("outcome").is_in(["dropped", "held"]))
        .group_by("id")
        .agg(
            kinds=pl.col("rule").unique().sort(),
            columns=pl.col("column").unique().sort(),
            lost=(pl.col("outcome") == "dropped").any(),
        )
    )
    rule = pl.when("lost").then(pl.lit(PHI)).otherwise(pl.lit(HELD))
    return _drop(records, rule, pl.format("{} in {}", *lists), pl.lit(None, pl.String))


def _of_leaks(leaks: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on records that show an image of a later split; the likest one is the evidence."""
    records = (
        leaks.filter(pl.col("outcome") == "dropped")
        .sort("id", "correlation", "other", descending=[False, True, False])
        .group_by("id", maintain_order=True)
        .first()
    )
    reason = pl.format("shows an image of the {} split", "other_split")
    return _drop(records, pl.lit(LEAKAGE), reason, pl.col("other"))


def _of_people(dataset: Dataset, standing: Sequence[PersonDecision]) -> pl.DataFrame:
    """Verdicts of people; decisions on records that the set holds no more stay in the log alone."""
    ids = pl.DataFrame(dataset.files.leaves(["id"]))
    return decisions.as_verdicts(standing).join(ids, on="id", how="semi")


def _drop(records: pl.DataFrame, rule: pl.Expr, reason: pl.Expr, evidence: pl.Expr) -> pl.DataFrame:
    """A verdict that each of the records does not stay."""
    return records.select("id", keep=pl.lit(False), rule=rule, reason=reason, evidence=evidence)


def _with_others(dataset: Dataset, own: list[pl.DataFrame]) -> pl.DataFrame:
    """The verdicts of this pass and those of rules that are not its own."""
    path = dataset.layout.verdicts
    if path.is_file():
        fix = "put the verdicts of other rules there again, or remove the file and lose them"
        others = read_side_table(path, VERDICTS, fix=fix)
        others = others.filter(~pl.col("rule").is_in([PHI, HELD, LEAKAGE, PERSON]))
        own = [others.select(own[0].columns), *own]
    return pl.concat(own).sort("id", "rule")
