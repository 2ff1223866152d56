"""One audit: its tables, and the file of scores that the card shows."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from qoqdata.atomic import replacing
from qoqdata.curation.audit.alike_texts import find_alike_texts
from qoqdata.curation.audit.answerers import ANSWERERS, score_answerers
from qoqdata.curation.audit.giveaways import find_giveaways
from qoqdata.curation.audit.label_errors import find_label_errors
from qoqdata.curation.audit.shift import prior_shifts
from qoqdata.dataset import Dataset
from qoqdata.layout import Layout
from qoqdata.parquet_memory import require_memory
from qoqdata.progress import ProgressCallback, silent

#: A score that is this much above the constant answer's gives the answer away, where it is that of
#: enough questions to tell it from chance.
TOLD, ASKED = 0.1, 20
#: A distance of shares from which on a split is told, where chance does not explain it.
SHIFTED, CHANCE = 0.1, 0.001


@dataclass(frozen=True)
class Audit:
    """`answerers` (ANSWERERS), `shifts` (SHIFTS), `giveaways` (GIVEAWAYS) and `alike_texts`
    (ALIKE_TEXTS) of the kept records of a data set; `label_errors` (LABEL_ERRORS), where they were
    looked for."""

    answerers: pl.DataFrame
    shifts: pl.DataFrame
    giveaways: pl.DataFrame
    alike_texts: pl.DataFrame
    label_errors: pl.DataFrame | None = None

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


def run_audit(
    dataset: Dataset,
    limit: int,
    *,
    label_errors: bool = False,
    progress: ProgressCallback = silent,
) -> Audit:
    """Audit the kept records; writes the answerers' scores into the set's curation/, and with
    `label_errors` the answers that are likely wrong.

    At most `limit` questions of a source, task and split are asked of the answerers and the probe.
    `progress` hears of images that the probe looks at.
    """
    # First, so that a package that is missing is told before the work.
    wrong = find_label_errors(dataset, limit, progress) if label_errors else None
    columns = ["id", "context", "question"]
    texts = pl.DataFrame(dataset.files.leaves(columns)).select(columns)
    kept = dataset.kept().join(texts, on="id", maintain_order="left")
    found = Audit(
        score_answerers(dataset, limit),
        prior_shifts(kept),
        find_giveaways(kept),
        find_alike_texts(kept),
        wrong,
    )
    with replacing(dataset.layout.answerers) as draft:
        found.answerers.write_parquet(draft)
    if wrong is not None:
        with replacing(dataset.layout.label_errors) as draft:
            wrong.write_parquet(draft)
    return found


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
