"""One curation pass: the findings of its rules, the verdicts that follow, the receipt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from qoqdata.atomic import replacing
from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation import decision_log, decisions
from qoqdata.curation.audit.label_errors import LABEL_ERROR, read_label_errors
from qoqdata.curation.benchmark_images import find_benchmark_images
from qoqdata.curation.burned_in.pixels import PixelCuration
from qoqdata.curation.decision_log import Said
from qoqdata.curation.duplicates import find_duplicates
from qoqdata.curation.leakage import find_leaks
from qoqdata.curation.likeness_receipt import LikenessReceipt, write_likeness_receipt
from qoqdata.curation.phi import PhiReceipt, Recogniser, scan_texts, write_phi_receipt
from qoqdata.curation.phi.recogniser import Presidio
from qoqdata.curation.quality import find_faults
from qoqdata.curation.recipe import (
    Benchmarks,
    CurationRecipe,
    Decision,
    Duplicates,
    LabelErrors,
    Leakage,
    Likeness,
    Phi,
    Quality,
)
from qoqdata.curation.sameness import Sameness, sameness
from qoqdata.curation.study_copies import find_study_copies
from qoqdata.dataset import Dataset
from qoqdata.progress import ProgressCallback, silent
from qoqdata.side_table import read_side_table
from qoqdata.verdicts import OF_PEOPLE, SELECTION, in_force

#: Rules of verdicts. Records that are held are not kept either, until somebody decides.
PHI, HELD, LEAKAGE, DUPLICATE, QUALITY = "phi", "phi_held", "leakage", "duplicate", "quality"
#: Of records that show a benchmark's image or signal. A pass without an index leaves them.
BENCHMARK = "benchmark"


@dataclass(frozen=True)
class Curation:
    """What a pass decided. All findings have a column `outcome`: those of protected health
    information dropped, held, accepted or open, the others dropped or reported. `leaks` are None
    where none were looked for, as `pixels` are. `unmatched` are decisions of the recipe on texts
    that match no finding: of another set, or misspelt."""

    findings: pl.DataFrame
    leaks: pl.DataFrame | None
    duplicates: pl.DataFrame
    study_copies: pl.DataFrame
    faults: pl.DataFrame
    verdicts: pl.DataFrame
    phi: PhiReceipt
    likeness: LikenessReceipt
    pixels: PixelCuration | None = None
    benchmark_images: pl.DataFrame | None = None
    unmatched: tuple[Decision, ...] = ()


def curate(
    dataset: Dataset,
    recipe: CurationRecipe,
    progress: ProgressCallback = silent,
    *,
    recogniser: Recogniser | None = None,
    benchmarks: pl.DataFrame | None = None,
) -> Curation:
    """Run the rules over all texts, images and signals and write curation/: verdicts, findings,
    receipt.

    A record with a finding of protected health information is held back, dropped or left open, as
    the recipe says; findings it accepts change nothing. A record that shows what a later split
    shows, repeats another one, or shows nothing, is dropped or reported. What people decided is
    joined; findings that were known to somebody who keeps the record are accepted, unless the
    recipe drops them. Of records that repeat each other the first stays that nothing else drops.
    Verdicts of other rules are kept. `benchmarks` is the index
    (`benchmark_index.SCHEMA`) of images that no record of train may show; without one the verdicts
    of the last pass that had one stay. `recogniser` joins the rules, in place of the recipe's.
    `progress` hears of records whose images were looked at, and their total.
    """
    if recogniser is None and recipe.phi.presidio:
        recogniser = Presidio(recipe.phi.presidio)
    found = scan_texts(dataset, recogniser)
    same = sameness(dataset, **recipe.likeness.model_dump(), progress=progress)
    leaks = _leaks(same, recipe.leakage)
    copies = find_study_copies(dataset, same).with_columns(outcome=pl.lit("reported"))
    faults = _faults(dataset, same, recipe.quality)
    shown = None
    if benchmarks is not None:
        shown = _benchmark_images(dataset, same, benchmarks, recipe.likeness, recipe.benchmarks)
    by_rules: dict[tuple[str, ...], pl.DataFrame | None] = {
        (QUALITY,): _of_faults(faults),
        (LEAKAGE,): None if leaks is None else _of_leaks(leaks),
        (LABEL_ERROR,): _of_label_errors(dataset, recipe.label_errors),
    }
    if shown is not None:
        by_rules[(BENCHMARK,)] = _of_benchmarks(shown)
    layout = dataset.layout
    name = None if recogniser is None else recogniser.name
    # From here on nobody decides, or the receipt would be of verdicts that lack a decision.
    with decision_log.deciding(layout):
        standing = decision_log.standing_decisions(layout)
        accepted = decisions.accepted_ids(standing, found)
        findings = found.with_columns(outcome=_outcome(recipe.phi, accepted))
        own = {
            (PHI, HELD): _of_phi(findings),
            OF_PEOPLE: _of_people(dataset, [*standing, *decision_log.standing_comments(layout)]),
            **by_rules,
        }
        # Last: what something else drops represents no copy of it that nothing drops.
        others = _with_others(dataset, own | {(DUPLICATE,): None})
        duplicates = _duplicates(same, recipe.duplicates, _lost(others))
        verdicts = _with_others(dataset, own | {(DUPLICATE,): _of_duplicates(duplicates)})
        table = verdicts.to_arrow().cast(arrow_schema(VERDICTS))
        with replacing(layout.verdicts) as draft:
            pq.write_table(table, draft, compression="zstd")
        for path, rows in (
            (layout.phi_findings, findings),
            (layout.leakage_findings, leaks),
            (layout.duplicates, duplicates),
            (layout.study_copies, copies),
            (layout.quality_findings, faults),
        ):
            _write_findings(path, rows)
        if shown is not None:
            _write_findings(layout.benchmark_images, shown)
        likeness = write_likeness_receipt(dataset, same, recipe.likeness)
        phi = write_phi_receipt(dataset, findings, recogniser=name)
    decided = (*recipe.phi.accept, *recipe.phi.drop)
    return Curation(
        *(findings, leaks, duplicates, copies, faults, verdicts, phi, likeness),
        benchmark_images=shown,
        unmatched=tuple(one for one in decided if not findings.filter(_matches(one)).height),
    )


def _write_findings(path: Path, table: pl.DataFrame | None) -> None:
    if table is None:
        path.unlink(missing_ok=True)
        return
    with replacing(path) as draft:
        table.write_parquet(draft)


def _leaks(same: Sameness, recipe: Leakage) -> pl.DataFrame | None:
    if recipe.on_finding == "skip":
        return None
    outcome = "dropped" if recipe.on_finding == "drop" else "reported"
    return find_leaks(same).with_columns(outcome=pl.lit(outcome))


def _benchmark_images(
    dataset: Dataset, same: Sameness, index: pl.DataFrame, likeness: Likeness, recipe: Benchmarks
) -> pl.DataFrame:
    found = find_benchmark_images(dataset, same, index, **likeness.model_dump())
    dropped = (pl.col("split") == "train") & (recipe.on_finding == "drop")
    return found.with_columns(outcome=_dropped_where(dropped))


def _lost(verdicts: pl.DataFrame) -> pl.Series:
    """Ids that verdicts drop for good; a selection is of a size, and taken anew."""
    return in_force(verdicts.filter(pl.col("rule") != SELECTION))["id"].unique()


def _duplicates(same: Sameness, recipe: Duplicates, lost: pl.Series) -> pl.DataFrame:
    copies = [copy for copy in ("equal", "alike") if getattr(recipe, copy) == "drop"]
    dropped = pl.col("copy").is_in(copies) & (pl.col("split") == "train")
    return find_duplicates(same, lost).with_columns(outcome=_dropped_where(dropped))


def _faults(dataset: Dataset, same: Sameness, recipe: Quality) -> pl.DataFrame:
    grave = pl.col("fault").is_in(recipe.drop)
    # One blank slice among others costs no record.
    whole = grave & (grave.sum().over("id") == pl.col("of"))
    return find_faults(dataset, same).with_columns(outcome=_dropped_where(whole))


def _dropped_where(condition: pl.Expr) -> pl.Expr:
    return pl.when(condition).then(pl.lit("dropped")).otherwise(pl.lit("reported"))


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
        leaks.lazy()
        .filter(pl.col("outcome") == "dropped")
        .select("id", "medium", "other", "other_split", "correlation")
        .sort("id", "correlation", "other", descending=[False, True, False])
        .group_by("id", maintain_order=True)
        .first()
        .collect()
    )
    what = pl.when(pl.col("medium") == "ecg").then(pl.lit("a signal")).otherwise(pl.lit("an image"))
    reason = pl.format("shows {} of the {} split", what, "other_split")
    return _drop(records, pl.lit(LEAKAGE), reason, pl.col("other"))


def _of_benchmarks(shown: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on records that show a benchmark's image or signal; its file is the evidence."""
    records = (
        shown.filter(pl.col("outcome") == "dropped")
        .sort("id", "correlation", "benchmark", descending=[False, True, False])
        .group_by("id", maintain_order=True)
        .agg(
            pl.col("medium", "file").first(),
            names=pl.col("benchmark").unique().sort(),
        )
    )
    what = pl.when(pl.col("medium") == "ecg").then(pl.lit("a signal")).otherwise(pl.lit("an image"))
    reason = pl.format("shows {} of the benchmark {}", what, pl.col("names").list.join(", "))
    return _drop(records, pl.lit(BENCHMARK), reason, pl.col("file"))


def _of_duplicates(duplicates: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on records that repeat another one, which is the evidence."""
    records = duplicates.filter(pl.col("outcome") == "dropped")
    differs = pl.when("contradicts").then(pl.lit(", with another answer")).otherwise(pl.lit(""))
    reason = pl.format("asks the same of what is {}{}", "copy", differs)
    return _drop(records, pl.lit(DUPLICATE), reason, pl.col("kept"))


def _of_faults(faults: pl.DataFrame) -> pl.DataFrame:
    """Verdicts on records all of whose images, or whose signal, show nothing."""
    records = (
        faults.filter(pl.col("outcome") == "dropped")
        .group_by("id", maintain_order=True)
        .agg(faults=pl.col("fault").unique().sort())
    )
    reason = pl.col("faults").list.join(", ")
    return _drop(records, pl.lit(QUALITY), reason, pl.lit(None, pl.String))


def _of_label_errors(dataset: Dataset, recipe: LabelErrors) -> pl.DataFrame:
    """Verdicts on training records whose answer is still the one that the audit held for wrong:
    what others measure stays what it is."""
    found = read_label_errors(dataset.layout)
    if found.height:
        answers = pl.DataFrame(dataset.files.leaves(["id", "answer"])).select("id", "answer")
        found = found.join(answers, on=["id", "answer"], how="semi")
    records = found.filter((pl.col("split") == "train") & (recipe.on_finding == "drop"))
    shown = pl.col("likelier_confidence").round(2), pl.col("confidence").round(2)
    evidence = pl.format("{} {} against {}", "likelier", *shown)
    reason = pl.format("the answer {} is likely wrong", "answer")
    return _drop(records, pl.lit(LABEL_ERROR), reason, evidence)


def _of_people(dataset: Dataset, said: Sequence[Said]) -> pl.DataFrame:
    """Verdicts of people; those on records that the set holds no more stay in the log alone."""
    verdicts = decisions.as_verdicts(said, decisions.carried_out(dataset))
    if verdicts.height:
        ids = pl.DataFrame(dataset.files.leaves(["id"]))
        verdicts = verdicts.join(ids, on="id", how="semi")
    return verdicts


def _drop(records: pl.DataFrame, rule: pl.Expr, reason: pl.Expr, evidence: pl.Expr) -> pl.DataFrame:
    """A verdict that each of the records does not stay."""
    return records.select("id", keep=pl.lit(False), rule=rule, reason=reason, evidence=evidence)


def _with_others(dataset: Dataset, own: dict[tuple[str, ...], pl.DataFrame | None]) -> pl.DataFrame:
    """The verdicts of this pass by the rules that gave them, and those of all other rules."""
    tables = [table for table in own.values() if table is not None]
    path = dataset.layout.verdicts
    if path.is_file():
        fix = "put the verdicts of other rules there again, or remove the file and lose them"
        others = read_side_table(path, VERDICTS, fix=fix)
        others = others.filter(~pl.col("rule").is_in([rule for rules in own for rule in rules]))
        tables = [others.select(tables[0].columns), *tables]
    return pl.concat(tables).sort("id", "rule", maintain_order=True)
