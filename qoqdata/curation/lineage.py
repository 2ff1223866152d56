"""Where a record comes from and what was decided about it: from raw files to rollouts.

Everything is read from the set itself, so it works offline and without the raw files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from qoqdata import items
from qoqdata.contract.record import METADATA
from qoqdata.contract.side_tables import VERDICTS
from qoqdata.curation.decision_log import LogLine, TakenBack, read_log
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.layout import Layout
from qoqdata.parquet_memory import require_memory
from qoqdata.side_table import read_side_table
from qoqdata.statistics.difficulty import read_difficulty
from qoqdata.statistics.rollouts import read_rewards
from qoqdata.verdicts import in_force

#: Columns of the record that are read: all but pixels and signals.
_COLUMNS = [name for name in METADATA.names if name != "ecg"]
_RARITY = ("key", "n_records", "n_studies", "share", "rarity", "success_rate", "policy")


@dataclass(frozen=True)
class Lineage:
    """What is known of one record.

    record      its columns but images, masks and signal
    shard       path and sha256 of the file that holds it
    origin      converter, version, digests of its code and card, options and storage of the build,
                version of qoqdata
    kept        whether no verdict drops it
    verdicts    rule, verdict, reason and evidence of each
    decisions   lines of the log of people's decisions and comments, those taken back too, by order
    findings    rows of the tables of curation, by name of the table
    statistics  rows of its domain and source; empty where there are none
    stale       why there are no statistics, or none that hold
    rates       success rate and number of rollouts by policy
    rollouts    rewards of the rollouts that were asked for; None where none were
    """

    record: Mapping[str, Any]
    shard: Mapping[str, str]
    origin: Mapping[str, Any]
    kept: bool
    verdicts: Sequence[Mapping[str, Any]]
    decisions: Sequence[LogLine]
    findings: Sequence[tuple[str, list[dict[str, Any]]]]
    statistics: Sequence[Mapping[str, Any]]
    stale: str | None
    rates: Sequence[Mapping[str, Any]]
    rollouts: Sequence[float] | None


def lineage(dataset: Dataset, id_: str, *, rollouts: Path | None = None) -> Lineage:
    """The lineage of the record `id_`, also of one that was dropped.

    `rollouts` are those of a policy, as `qoqdata difficulty --from` reads them. Raises DatasetError
    for an id that the set does not hold and for damaged side tables, BadTable for other rollouts.
    """
    dataset.refuse_stranger(id_)
    places = items.all_places(dataset.files).filter(pl.col("id") == id_).select(items.COLUMNS)
    record = next(items.read_records(dataset.files, dataset.manifest, places, _COLUMNS))
    shard = dataset.manifest.shards[places["shard"][0]]
    entry = dataset.manifest.sources[record["source"]]
    layout = dataset.files.layout("curation")
    statistics, stale = _statistics(dataset, record)
    asked = None if rollouts is None else read_rewards(rollouts).filter(pl.col("id") == id_)
    return Lineage(
        record=record,
        shard={"path": shard.path, "sha256": shard.sha256},
        origin={
            "converter": entry.converter,
            "version": record["provenance"]["version"],
            "code_digest": entry.code_digest,
            "card_digest": entry.card_digest,
            "options": entry.options,
            "storage": entry.storage.model_dump(mode="json"),
            "qoqdata_version": dataset.manifest.qoqdata_version,
            "salt_fingerprint": dataset.manifest.salt_fingerprint,
        },
        kept=_kept(layout, id_),
        verdicts=record_verdicts(layout, id_),
        decisions=_decisions(layout, id_),
        findings=record_findings(layout, id_),
        statistics=statistics,
        stale=stale,
        rates=record_rates(dataset.files.layout("difficulty"), id_),
        rollouts=None if asked is None else asked["reward"].to_list(),
    )


def record_verdicts(layout: Layout, id_: str) -> list[dict[str, Any]]:
    """Rule, reason, evidence and verdict (keep or drop) of each verdict on a record."""
    verdict = pl.when("keep").then(pl.lit("keep")).otherwise(pl.lit("drop"))
    own = _own_verdicts(layout, id_)
    return own.select("rule", "reason", "evidence", verdict=verdict).to_dicts()


def record_findings(layout: Layout, id_: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows on the record in every table of findings that curation left, by the table's name."""
    tables = sorted(layout.verdicts.parent.glob("*.parquet"))
    found = []
    for path in tables:
        if path == layout.verdicts:
            continue
        try:
            require_memory(path)
            rows = pl.scan_parquet(path, glob=False)
            if "id" not in rows.collect_schema():
                continue
            of_record = rows.filter(pl.col("id") == id_).drop("id").collect()
        except (pl.exceptions.PolarsError, OSError, ValueError) as error:
            what = f"cannot be read: {str(error).splitlines()[0]}"
            raise DatasetError(what, where=str(path), fix="run `qoqdata curate` again") from error
        if of_record.height:
            found.append((path.stem.replace("_", " "), of_record.to_dicts()))
    return found


def record_rates(layout: Layout, id_: str) -> list[dict[str, Any]]:
    """Success rate and number of rollouts by policy."""
    tables = (read_difficulty(path) for path in sorted(layout.difficulty.glob("*.parquet")))
    rows = (table.filter(pl.col("id") == id_) for table in tables)
    return [row for table in rows for row in table.to_dicts()]


def _own_verdicts(layout: Layout, id_: str) -> pl.DataFrame:
    if not layout.verdicts.is_file():
        return pl.DataFrame(schema=dict.fromkeys(VERDICTS.names, pl.String) | {"keep": pl.Boolean})
    fix = "run `qoqdata curate` again, or fetch the data set anew"
    return read_side_table(layout.verdicts, VERDICTS, fix=fix).filter(pl.col("id") == id_)


def _kept(layout: Layout, id_: str) -> bool:
    return in_force(_own_verdicts(layout, id_)).is_empty()


def _decisions(layout: Layout, id_: str) -> list[LogLine]:
    lines = read_log(layout)
    orders = {line.order for line in lines if not isinstance(line, TakenBack) and line.id == id_}
    return [
        line
        for line in lines
        if line.order in orders or (isinstance(line, TakenBack) and line.undo in orders)
    ]


def _statistics(
    dataset: Dataset, record: Mapping[str, Any]
) -> tuple[list[dict[str, Any]], str | None]:
    """Rows of the record's domain and source, or why there are none."""
    try:
        stats = dataset.stats
    except DatasetError as error:
        return [], error.what
    rows = []
    for level, table in (("domain", stats.domains), ("source", stats.sources)):
        own = table.filter(pl.col("key") == record[level]).select(_RARITY)
        rows += [{"level": level, **row} for row in own.to_dicts()]
    return rows, None
