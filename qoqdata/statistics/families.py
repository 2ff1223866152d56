"""The tallies of a data set, by families of sources that have patients in common.

What a family counted to is kept beside the receipts of the build, with what it was counted from:
its metadata, which of its records were kept and their success rates. A family of which none of
these has changed is not counted again, so adding a source reads that source.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from qoqdata import light, roles
from qoqdata.atomic import digest, write_json
from qoqdata.contract.manifest import Manifest
from qoqdata.json_document import document_bytes, parse_json
from qoqdata.statistics import bins, counts
from qoqdata.statistics import tally as tallies
from qoqdata.statistics.counts import option_lists
from qoqdata.statistics.tables import RATES
from qoqdata.statistics.tally import COLUMNS, Tally, tally
from qoqdata.verdicts import dropped

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

#: What reading a kept tally of another version, or a damaged one, raises.
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, pl.exceptions.PolarsError)


def families(manifest: Manifest) -> dict[str, list[str]]:
    """The sources that are trained on and have records, by namespace or else by their own name."""
    found: dict[str, list[str]] = {}
    apart = set(roles.evaluation_sources(manifest))
    for slug in sorted({shard.source for shard in manifest.shards} - apart):
        found.setdefault(manifest.sources[slug].namespace or slug, []).append(slug)
    return found


def count_families(dataset: Dataset, difficulty: pl.DataFrame | None) -> list[Tally]:
    """The tallies of the kept records of all families, with the success rates of `difficulty`.

    Raises UsageError for a data set of evaluation sources only, DatasetError for metadata that
    cannot be read.
    """
    dataset.check_some()
    named = families(dataset.manifest)
    if not named:
        benchmarks = roles.evaluation_sources(dataset.manifest)
        raise roles.training_refusal(benchmarks, where=dataset.where)
    lost = dropped(dataset.files.layout("curation"))["id"].unique()
    rates = pl.DataFrame(schema=RATES) if difficulty is None else difficulty.select(*RATES)
    return [_counted(dataset, name, slugs, lost, rates) for name, slugs in named.items()]


def _counted(
    dataset: Dataset, name: str, slugs: Sequence[str], lost: pl.Series, rates: pl.DataFrame
) -> Tally:
    marks = {slug: _marks(dataset, slug, lost, rates) for slug in slugs}
    basis = {
        "code": _code(),
        "sources": {
            slug: {
                "metadata": dataset.manifest.meta[slug].sha256,
                "marks": None if own is None else _frame_digest(own),
            }
            for slug, own in marks.items()
        },
    }
    path = dataset.layout.tally(name)
    if (known := _known(path, basis)) is not None:
        return known
    parts = [_records(dataset, slug, own) for slug, own in marks.items()]
    records, lists = (pl.concat(frames) for frames in zip(*parts, strict=True))
    found = tally(records, lists)
    write_json(path, {"basis": basis, "tally": found.to_state()})
    return found


def _marks(
    dataset: Dataset, slug: str, lost: pl.Series, rates: pl.DataFrame
) -> pl.DataFrame | None:
    """`kept`, `success_rate` and `n_rollouts` of each record of a source; None where all are kept
    and none has a rate, which needs no ids."""
    if lost.is_empty() and rates.is_empty():
        return None
    ids = pl.concat(light.light_groups(dataset.files, dataset.manifest, slug, ["id"]))
    marked = ids.with_columns(kept=~pl.col("id").is_in(lost.implode()))
    return marked.join(rates, on="id", how="left", maintain_order="left").drop("id")


def _records(
    dataset: Dataset, slug: str, marks: pl.DataFrame | None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The kept records of a source, with their rates, and their lists of options."""
    columns = [*COLUMNS, "options", "shows"]
    records, lists, first = [], [], 0
    for group in light.light_groups(dataset.files, dataset.manifest, slug, columns, coded=True):
        if marks is None:
            none = {name: pl.lit(None, kind) for name, kind in RATES.items() if name != "id"}
            kept = group.filter("shows").with_columns(**none)
        else:
            own = marks.slice(first, group.height)
            kept = pl.concat([group, own], how="horizontal").filter("shows", "kept").drop("kept")
            first += group.height
        lists.append(option_lists(kept))
        records.append(kept.drop("options", "shows"))
    return pl.concat(records), pl.concat(lists).unique()


def _known(path: Path, basis: Mapping[str, Any]) -> Tally | None:
    try:
        content = parse_json(document_bytes(path))
        return Tally.from_state(content["tally"]) if content["basis"] == basis else None
    except _UNREADABLE:
        return None


def _frame_digest(frame: pl.DataFrame) -> str:
    """sha256 over the values of numbers and truths, in order."""
    total = hashlib.sha256()
    for column in frame:
        total.update(column.is_null().to_numpy().tobytes())
        total.update(column.fill_null(0).to_numpy().tobytes())
    return total.hexdigest()


def _code() -> str:
    """Of the modules that count, so that what another version counted is counted again."""
    return digest([inspect.getsource(module) for module in (bins, counts, tallies, light)])
