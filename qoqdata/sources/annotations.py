"""Rows of a user's table, joined to files by key and never by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from qoqdata.contract.vocabulary import SPLITS, Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.person import read_age
from qoqdata.sources import cells
from qoqdata.sources.mapping import Mapping as SourceMapping
from qoqdata.sources.mapping import TableColumns
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit

_PRESENT = frozenset({"1", "1.0", "true", "yes", "y"})
_ABSENT = frozenset({"0", "0.0", "false", "no", "n"})
_UNCERTAIN = frozenset({"-1", "-1.0", "uncertain"})


@dataclass(frozen=True)
class Annotation:
    """What a row says; labels are raw."""

    labels: tuple[str, ...]
    uncertain: tuple[str, ...] = ()
    patient: str | None = None
    group: str | None = None
    split: Split | None = None
    age: int | None = None
    sex: str | None = None
    context: str | None = None

    def unit(self, key: str, files: tuple[str, ...], **facts: Any) -> Unit:
        """The unit of this row."""
        own = {
            "labels": self.labels,
            "uncertain": self.uncertain,
            "age": self.age,
            "sex": self.sex,
            "context": self.context,
        }
        group = self.group or self.patient
        return Unit(key, files, group, self.patient, self.split, own | facts)


@dataclass(frozen=True)
class Annotations:
    """Rows by key, and what the table's own faults refuse."""

    rows: Mapping[str, Annotation]
    refused: tuple[Refused, ...]


def read_annotations(job: Job, mapping: SourceMapping) -> Annotations:
    """The mapping's table by key. A row at fault is refused; so are all rows of a repeated key.

    Raises BadTable for a missing column or an empty table.
    """
    columns = mapping.table
    if columns is None:
        raise BadTable("the mapping names no table", where=mapping.slug)
    table = job.raw.csv(columns.file, columns=_wanted(columns), separator=columns.separator)
    counts = Counter(cells.text(key) for key in table[columns.key])
    rows: dict[str, Annotation] = {}
    refusals = []
    for number, row in enumerate(table.iter_rows(named=True), start=2):
        key = cells.text(row[columns.key])
        where = f"{columns.file}, row {number}"
        try:
            if key is None:
                raise MissingKey(f"the column {columns.key} is empty", where=where)
            if counts[key] > 1:
                what = f"the key {key!r} is in {counts[key]} rows"
                raise DuplicateKey(what, where=where, fix="keep one row a key")
            rows[key] = _annotation(row, columns, mapping, where)
        except InputError as error:
            refusals.append(Refused(key or where, error))
    return Annotations(rows, tuple(refusals))


def join(
    annotations: Annotations, files: Mapping[str, tuple[str, ...]], *, table: str
) -> Iterator[tuple[str, tuple[str, ...], Annotation] | Refused | Filtered]:
    """Pair rows with files by key.

    Yields (key, files, annotation); Refused for a row without file, a file without row and the
    table's own faults; Filtered for a row that asserts no label.
    """
    yield from annotations.refused
    refused_keys = {item.key for item in annotations.refused}
    for key, annotation in annotations.rows.items():
        if key not in files:
            what = f"{table} names it, but it is not there"
            yield Refused(key, MissingFile(what, where=key, fix="fetch it, or drop the row"))
        elif not annotation.labels:
            what = f"{table} asserts no label; the mapping's `none` can name an option for that"
            yield Filtered(key, "no_label", what, files[key])
        else:
            yield key, files[key], annotation
    for key in sorted(set(files) - set(annotations.rows) - refused_keys):
        what = f"{table} has no row for it"
        fix = "add a row, or move the file out of the raw folder"
        yield Refused(key, MissingKey(what, where=files[key][0], fix=fix), files[key])


def units(
    annotations: Annotations, files: Mapping[str, tuple[str, ...]], *, table: str
) -> Iterator[Planned]:
    """As `join`, with pairs as units."""
    for item in join(annotations, files, table=table):
        if isinstance(item, tuple):
            key, paths, annotation = item
            yield annotation.unit(key, paths)
        else:
            yield item


def _wanted(columns: TableColumns) -> list[str]:
    labels = [columns.labels] if isinstance(columns.labels, str) else columns.labels or ()
    single = (columns.patient, columns.group, columns.split, columns.age, columns.sex)
    return [columns.key, *labels, *filter(None, (*single, columns.context))]


def _annotation(
    row: Mapping[str, str | None], columns: TableColumns, mapping: SourceMapping, where: str
) -> Annotation:
    def cell(column: str | None) -> str | None:
        return cells.text(row[column]) if column else None

    present, uncertain = _labels(row, columns, mapping, where)
    return Annotation(
        labels=present,
        uncertain=uncertain,
        patient=cell(columns.patient),
        group=cell(columns.group),
        split=_split(cell(columns.split), mapping.split_values, where),
        age=read_age(cell(columns.age)),
        sex=cells.sex(cell(columns.sex), mapping.sex_values),
        context=cell(columns.context),
    )


def _labels(
    row: Mapping[str, str | None], columns: TableColumns, mapping: SourceMapping, where: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Asserted and uncertain raw labels; `none` where every label column says absent."""
    if columns.labels is None:
        return (), ()
    if isinstance(columns.labels, str):
        cell = (row[columns.labels] or "").strip()
        # A label such as "None" is absent only where the mapping does not know it.
        if cell not in (mapping.labels or mapping.answers):
            cell = cells.text(cell) or ""
        parts = cell.split(columns.label_separator) if columns.label_separator else [cell]
        return tuple(part.strip() for part in parts if part.strip()), ()
    assertions, uncertain, absent = [], [], 0
    for name in columns.labels:
        value = (row[name] or "").strip().lower()
        if value in _PRESENT:
            assertions.append(name)
        elif value in _UNCERTAIN:
            uncertain.append(name)
        elif value in _ABSENT:
            absent += 1
        elif value:
            what = f"{row[name]!r} in the label column {name} is none of 1, 0, -1 and blank"
            raise BadTable(what, where=where)
    # A blank cell means not mentioned, from which nothing follows.
    if mapping.none is not None and absent == len(columns.labels):
        return (mapping.none,), ()
    return tuple(assertions), tuple(uncertain)


def _split(word: str | None, words: Mapping[str, Split], where: str) -> Split | None:
    if word is None:
        return None
    splits: dict[str, Split] = {split: split for split in SPLITS} | dict(words)
    if word not in splits:
        fix = f"map it under split_values; known: {', '.join(splits)}"
        raise BadTable(f"the split {word!r} is not known", where=where, fix=fix)
    return splits[word]
