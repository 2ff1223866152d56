"""One audit: its tables, and the file of scores that the card shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from qoqdata.atomic import replacing
from qoqdata.concepts import ConceptTable, read_concepts, shipped_tables
from qoqdata.curation.audit.across_sources import find_contradictions
from qoqdata.curation.audit.alike_texts import find_alike_texts
from qoqdata.curation.audit.answerers import ANSWERERS, score_answerers
from qoqdata.curation.audit.giveaways import find_giveaways
from qoqdata.curation.audit.held_out import HELD_OUT, held_out_agreement
from qoqdata.curation.audit.label_errors import (
    find_label_errors,
    found_before,
    require_cleanlab,
)
from qoqdata.curation.audit.prevalence import FAULTLESS, compare_prevalence
from qoqdata.curation.audit.shift import prior_shifts
from qoqdata.dataset import Dataset
from qoqdata.layout import Layout
from qoqdata.parquet_memory import require_memory
from qoqdata.progress import ProgressCallback, silent
from qoqdata.statistics.probe.table import probed_tasks

#: A score that is this much above the constant answer's gives the answer away, where it is that of
#: enough questions to tell it from chance.
TOLD, ASKED = 0.1, 20
#: A distance of shares from which on a split is told, where chance does not explain it.
SHIFTED, CHANCE = 0.1, 0.001
#: Agreement with held-out labels that is so far below what is expected of it is told.
FAR = 0.2


@dataclass(frozen=True)
class ProbedLabels:
    """What a probe of what records show says of labels: `errors` (LABEL_ERRORS) in train and later
    splits, `held_out` (HELD_OUT) and `contradictions` (CONTRADICTIONS)."""

    errors: pl.DataFrame
    held_out: pl.DataFrame
    contradictions: pl.DataFrame

    @property
    def estranged(self) -> pl.DataFrame:
        """The rows of `held_out` whose labels are told far worse than those of train."""
        far = pl.col("agreement") < pl.col("expected") - FAR
        return self.held_out.filter(far & (pl.col("p") < CHANCE))


@dataclass(frozen=True)
class Audit:
    """`answerers` (ANSWERERS), `shifts` (SHIFTS), `giveaways` (GIVEAWAYS) and `alike_texts`
    (ALIKE_TEXTS) of the kept records of a data set; `prevalence` (PREVALENCE) of all its records;
    `probed`, where a probe was asked."""

    answerers: pl.DataFrame
    shifts: pl.DataFrame
    giveaways: pl.DataFrame
    alike_texts: pl.DataFrame
    prevalence: pl.DataFrame
    probed: ProbedLabels | None = None

    @property
    def label_errors(self) -> pl.DataFrame | None:
        """Answers that are likely wrong; None where no probe was asked."""
        return None if self.probed is None else self.probed.errors

    @property
    def told(self) -> pl.DataFrame:
        """The rows of `answerers` on which text or facts beat the constant answer."""
        best = pl.max_horizontal("text", "facts")
        enough = pl.col("questions") >= ASKED
        return self.answerers.filter(enough & (best > pl.col("constant") + TOLD))

    @property
    def shifted(self) -> pl.DataFrame:
        """The rows of `shifts` that chance does not explain, or with labels that train lacks."""
        far = (pl.col("distance") > SHIFTED) & (pl.col("p") < CHANCE)
        return self.shifts.filter(far | (pl.col("unseen").list.len() > 0))

    @property
    def mismapped(self) -> pl.DataFrame:
        """The rows of `prevalence` whose labels no part of a complete copy has so often."""
        return self.prevalence.filter(~pl.col("verdict").is_in(FAULTLESS))


def run_audit(
    dataset: Dataset,
    limit: int,
    *,
    label_errors: bool = False,
    harmonise: str | Path | None = None,
    progress: ProgressCallback = silent,
) -> Audit:
    """Audit the kept records; writes the answerers' scores into the set's curation/, and with
    `label_errors` what a probe says, the answers that are likely wrong.

    At most `limit` questions of a source, task and split are asked of the answerers and the probe.
    `harmonise` is a table of concepts beside those that are shipped. `progress` hears of images
    that the probe looks at. Raises UsageError for a table at fault.
    """
    # First, so that a package that is missing is told before the work.
    probed = None
    if label_errors:
        probed = _probed(dataset, limit, _tables(dataset, harmonise), progress)
    columns = ["id", "context", "question"]
    texts = pl.DataFrame(dataset.files.leaves(columns)).select(columns)
    kept = dataset.kept().join(texts, on="id", maintain_order="left")
    found = Audit(
        score_answerers(dataset, limit),
        prior_shifts(kept),
        find_giveaways(kept),
        find_alike_texts(kept),
        compare_prevalence(dataset),
        probed,
    )
    _write(dataset.layout.answerers, found.answerers)
    if probed is not None:
        _write(dataset.layout.label_errors, probed.errors)
    return found


def _write(path: Path, table: pl.DataFrame) -> None:
    # Through a file of Python's: what the system refuses then has its name and number.
    with replacing(path) as draft, draft.open("wb") as file:
        table.write_parquet(file)


def _tables(dataset: Dataset, own: str | Path | None) -> list[ConceptTable]:
    tables = [read_concepts(name) for name in shipped_tables() if name != own]
    return tables if own is None else [*tables, dataset.concepts(own)]


def _probed(
    dataset: Dataset, limit: int, tables: Sequence[ConceptTable], progress: ProgressCallback
) -> ProbedLabels:
    require_cleanlab()
    errors, rows = [found_before(dataset)], []
    for train, later in probed_tasks(dataset, limit, progress):
        errors.append(find_label_errors(train, later))
        rows += [held_out_agreement(train, split) for split in later]
    held_out = pl.DataFrame([row for row in rows if row], schema=HELD_OUT, orient="row")
    return ProbedLabels(pl.concat(errors), held_out, find_contradictions(dataset, tables, progress))


def read_answerers(layout: Layout) -> pl.DataFrame | None:
    """The scores that the last audit left; None where none did, or another version's."""
    if not layout.answerers.is_file():
        return None
    try:
        require_memory(layout.answerers)
        found = pl.read_parquet(layout.answerers, glob=False)
    except (OSError, ValueError, pl.exceptions.PolarsError):
        return None
    return found if dict(found.schema) == ANSWERERS else None
