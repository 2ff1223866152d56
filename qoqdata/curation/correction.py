"""A corrected copy of a data set: records that people relabelled have the answers that people gave.

Ids, media and splits stay what they are; shards in which nothing changes are linked, not copied. A
corrected record says so in its provenance. What cannot be corrected keeps its verdict, and is left
out as before: so no reader meets the wrong answer, in the set or in the copy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from qoqdata import items
from qoqdata import manifest as manifests
from qoqdata.atomic import linked
from qoqdata.contract.manifest import MetadataFile, Shard
from qoqdata.contract.vocabulary import ANSWER_JOIN
from qoqdata.curation import decisions
from qoqdata.curation.decision_log import PersonDecision, deciding, standing_decisions
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import UsageError
from qoqdata.layout import Layout
from qoqdata.manifest import shards_digest
from qoqdata.metadata import write_metadata
from qoqdata.pipeline.readme import write_readme
from qoqdata.pipeline.shards import rewrite_shard
from qoqdata.progress import ProgressCallback, silent
from qoqdata.statistics import difficulty

#: How a note in the provenance of a corrected record begins.
NOTE = "corrected answer: "
#: Columns that a correction may change. All are light ones: no pixel is looked at.
CHANGED = (
    "answer",
    "number",
    "labels",
    "uncertain",
    "absent",
    "regions",
    "reasoning",
    "reasoning_policy",
    "provenance",
)
_READ = ("id", "source", "kind", "options", "mask_info", *CHANGED)
_NOTES = "provenance.notes.list.element"


@dataclass(frozen=True)
class Correction:
    """`corrected` counts records by source; `left_out` those that are relabelled and cannot be
    corrected, by reason."""

    corrected: Mapping[str, int]
    left_out: Mapping[str, int]


class Uncorrectable(Exception):
    """Why a record cannot be given another answer."""


def correct(dataset: Dataset, out: Path, progress: ProgressCallback = silent) -> Correction:
    """Write `dataset`, which lies in a folder, at `out` with the answers that people gave.

    The log of decisions goes with it, with the verdicts of rules, difficulty and what publication
    needs of the build; statistics and receipts are of other records, and do not. `progress` hears
    of shards. Raises UsageError where nobody relabelled anything, for a release and for a folder
    in use, DatasetError for a shard that is not what its manifest says.
    """
    if dataset.manifest.release is not None:
        fix = "correct the set that it was published from, and publish that"
        raise UsageError("is a release", where=dataset.where, fix=fix)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise UsageError("is in use", where=str(out), fix="name a new folder")
    with deciding(dataset.layout):
        standing = standing_decisions(dataset.layout)
        wanted = {line.id: line for line in standing if line.answer is not None}
        done = decisions.carried_out(dataset)
        open_ = {id_: line for id_, line in wanted.items() if id_ not in done}
        if not open_:
            fix = f'qoqdata decide {dataset.root} ID relabel --answer ANSWER --why "..."'
            raise UsageError("holds no record that is relabelled", where=dataset.where, fix=fix)
        rows, correction = _rows(dataset, open_)
        if not rows:
            reasons = "; ".join(correction.left_out) or "the set does not hold it any more"
            fix = "mend the source's labels and build it again"
            what = f"no relabelled record can be corrected: {reasons}"
            raise UsageError(what, where=dataset.where, fix=fix)
        shards = _write_shards(dataset, out, rows, progress)
        _write_rest(dataset, out, shards, rows)
    return correction


def corrected(
    row: Mapping[str, Any], decision: PersonDecision, masked: Collection[str] = ()
) -> dict[str, Any]:
    """The columns CHANGED of a record with the answer of a decision.

    `masked` are names of what the source's masks may mark, for a record with masks and no boxes.

    Labels follow the answer: what it does not say any more is not asserted, and what it says is not
    doubted or denied. The place of an ordinal answer moves with it, and reasoning, which led to
    another answer, goes. An empty list of boxes says that there is nothing to find; where the
    answer says something new it becomes null. Raises Uncorrectable for a record that marks what the
    answer does not say any more.
    """
    assert decision.answer is not None
    before, now = (_said(row, text) for text in (row["answer"], decision.answer))
    gone = [one for one in before if one not in now]
    new = [one for one in now if one not in before]
    marked = {one["label"].casefold() for one in row["regions"] or () if one["role"] == "target"}
    if row["regions"] is None and row["mask_info"]:
        marked = {name.casefold() for name in masked}
    if marked & {one.casefold() for one in gone}:
        raise Uncorrectable("its boxes or masks mark what it does not show")
    number = row["number"]
    if number is not None:
        number = number | {"value": float(row["options"].index(decision.answer))}
    note = f"{NOTE}{decision.answer!r}, was {row['answer']!r}; by {decision.author}: {decision.why}"
    made = row["provenance"]
    return {
        "answer": decision.answer,
        "number": number,
        "labels": _asserted(row, gone, new),
        "uncertain": _without(row["uncertain"], now),
        "absent": _without(row["absent"], now),
        "regions": None if new and row["regions"] == [] else row["regions"],
        "reasoning": None,
        "reasoning_policy": None,
        "provenance": made | {"notes": [*made["notes"], note]},
    }


def with_columns_of(table: pa.Table, rows: Mapping[str, Mapping[str, Any]]) -> pa.Table:
    """A table of records, of which those of the ids in `rows` have the columns that stand there."""
    ids = table["id"].to_pylist()
    if not any(id_ in rows for id_ in ids):
        return table
    for name in CHANGED:
        values = [
            rows[id_][name] if id_ in rows else value
            for id_, value in zip(ids, table[name].to_pylist(), strict=True)
        ]
        place = table.schema.get_field_index(name)
        own = table.schema.field(place)
        table = table.set_column(place, own, pa.array(values, own.type))
    return table


def is_corrected(notes: pl.Expr) -> pl.Expr:
    """Whether a record's notes say that its answer was corrected."""
    return notes.list.eval(pl.element().str.starts_with(NOTE)).list.any()


def corrected_counts(dataset: Dataset) -> dict[str, int]:
    """Records with a corrected answer, by source; sources without one are not in it."""
    frame = pl.DataFrame(dataset.files.leaves(["source", _NOTES]).select(["source", "provenance"]))
    notes = pl.col("provenance").struct.field("notes")
    some = frame.filter(is_corrected(notes)).group_by("source").len().sort("source")
    return dict(some.iter_rows())


def _rows(
    dataset: Dataset, wanted: Mapping[str, PersonDecision]
) -> tuple[dict[str, dict[str, Any]], Correction]:
    """The columns CHANGED of the records that can be corrected, by id, and what became of all."""
    places = items.all_places(dataset.files).filter(pl.col("id").is_in(list(wanted)))
    rows, counts, left_out = dict[str, dict[str, Any]](), Counter[str](), Counter[str]()
    for row in items.read_records(
        dataset.files, dataset.manifest, places.select(items.COLUMNS), _READ
    ):
        try:
            masked = dataset.cards[row["source"]].mask_codes.values()
            rows[row["id"]] = corrected(row, wanted[row["id"]], list(masked))
        except Uncorrectable as reason:
            left_out[str(reason)] += 1
        else:
            counts[row["source"]] += 1
    return rows, Correction(dict(sorted(counts.items())), dict(sorted(left_out.items())))


def _said(row: Mapping[str, Any], answer: str) -> list[str]:
    return answer.split(ANSWER_JOIN) if row["kind"] == "multi" else [answer]


def _asserted(row: Mapping[str, Any], gone: list[str], new: list[str]) -> list[str] | None:
    labels = row["labels"]
    if labels is None:
        return None
    # An open answer is a text, and a label only where the source asserts the text itself.
    if row["options"] is None and not set(gone) & set(labels):
        return list(labels)
    kept = [one for one in labels if one not in gone]
    return [*kept, *(one for one in new if one not in kept)]


def _without(labels: list[str] | None, said: list[str]) -> list[str] | None:
    return None if labels is None else [one for one in labels if one not in said]


def _write_shards(
    dataset: Dataset,
    out: Path,
    rows: Mapping[str, Mapping[str, Any]],
    progress: ProgressCallback,
) -> list[Shard]:
    places = pl.DataFrame(dataset.files.leaves(["id"]))
    some = pl.DataFrame({"id": list(rows)}, schema={"id": pl.String})
    touched = set(places.join(some, on="id", how="semi")["shard"].unique())
    shards = []
    for number, shard in enumerate(dataset.manifest.shards):
        with dataset.files.holding(shard, verify=True) as path:
            if number in touched:
                written = rewrite_shard(
                    path, out / shard.path, shard, partial(with_columns_of, rows=rows)
                )
                assert written is not None
                shards.append(written)
            else:
                linked(path, out / shard.path)
                shards.append(shard)
        progress(number + 1, len(dataset.manifest.shards))
    return shards


def _write_rest(dataset: Dataset, out: Path, shards: list[Shard], done: Iterable[str]) -> None:
    """All beside the shards; the manifest last but for the verdicts, which need it."""
    before, after = dataset.layout, Layout(out)
    sources = dataset.manifest.sources
    for slug in sources:
        for layout_path in (Layout.card, Layout.quarantine, Layout.raw_keys):
            if layout_path(before, slug).is_file():
                linked(layout_path(before, slug), layout_path(after, slug))
    for shard in set(shards) & set(dataset.manifest.shards):
        name = Path(shard.path).stem
        if before.likeness(shard.source, name).is_file():
            linked(before.likeness(shard.source, name), after.likeness(shard.source, name))
    for path in sorted(before.verdicts.parent.glob("*")):
        if path.suffix in (".parquet", ".jsonl"):
            linked(path, after.verdicts.parent / path.name)
    for path in sorted(before.difficulty.glob("*.parquet")):
        table = difficulty.read_difficulty(path)
        # What a policy scored against the wrong answer says nothing of the right one.
        rest = table.filter(~pl.col("id").is_in(list(done)))
        if rest.height:
            difficulty.write_difficulty(after, rest)
    manifest = dataset.manifest.model_copy(
        update={
            "shards": tuple(shards),
            "digest": shards_digest(shards),
            "meta": _metadata(dataset, out, shards),
        }
    )
    write_readme(out, manifest)
    manifests.write_manifest(after, manifest)
    decisions.write_verdicts(open_dataset(out))


def _metadata(dataset: Dataset, out: Path, shards: list[Shard]) -> dict[str, MetadataFile]:
    """The metadata of all sources: linked where no shard of a source was written anew."""
    entries = dict(dataset.manifest.meta)
    changed = {shard.source for shard in set(shards) - set(dataset.manifest.shards)}
    for slug, file in entries.items():
        if slug not in changed:
            with dataset.files.holding(file, verify=True) as path:
                linked(path, Layout(out).metadata(slug))
    return entries | write_metadata(out, (s for s in shards if s.source in changed))
