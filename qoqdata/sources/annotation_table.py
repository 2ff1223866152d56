"""Rows of a user's table, joined to files by key and never by position."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeVar

import polars as pl

from qoqdata.contract.vocabulary import SPLITS, Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingKey
from qoqdata.person import read_age
from qoqdata.sources import cells
from qoqdata.sources.annotations import SHARED, Annotation, annotated_unit
from qoqdata.sources.asking import check_choice
from qoqdata.sources.joining import Files, Unmatched, match_keys, paths_by_key
from qoqdata.sources.mapping import Mapping as SourceMapping
from qoqdata.sources.mapping import TableColumns
from qoqdata.sources.missing import with_reason
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused

_PRESENT = frozenset({"1", "1.0", "true", "yes", "y"})
_ABSENT = frozenset({"0", "0.0", "false", "no", "n"})
_UNCERTAIN = frozenset({"-1", "-1.0", "uncertain"})

Row = Mapping[str, str | None]
#: Labels that are asserted, uncertain and absent.
_States = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
#: Official split, age and sex.
_Person = tuple[Split | None, int | None, str | None]
_Cells = tuple[str | None, ...]
_Reading = TypeVar("_Reading")


@dataclass(frozen=True)
class Annotations:
    """Rows by key, what the table's own faults refuse, and every key that the table names."""

    rows: Mapping[str, tuple[Annotation, ...]]
    refused: tuple[Refused, ...]
    keys: frozenset[str]


def read_annotations(
    job: Job, mapping: SourceMapping, *, shared: Collection[str] = ()
) -> Annotations:
    """The mapping's table by key, with one row a key or, with an item column, a key and item.

    A row at fault is refused; so are all rows of a repeated key (and item), and all rows of a key
    that disagree about its patient, group, split, age or sex. Rows whose key is `shared` by several
    patients are told apart by the patient column too: their key is `shared_key`. Raises BadTable
    for a missing column or an empty table.
    """
    columns = mapping.table
    if columns is None:
        raise BadTable("the mapping names no table", where=mapping.slug)
    wanted = list(dict.fromkeys(_wanted(columns)))
    table = job.raw.csv(columns.file, columns=wanted, separator=columns.separator, full=True)
    table = table.select(wanted)
    places = _places(table, columns, shared)
    distinct = set(places)
    counts = Counter(places) if len(distinct) < len(places) else None
    rows: dict[str, list[Annotation]] = {}
    refusals = []
    plain = (columns.patient, columns.group, columns.context)
    texts = zip(*(_texts(table, column) for column in plain), strict=False)
    of_labels, of_person = _label_columns(columns), _person_columns(columns)
    read_labels = _once(of_labels, lambda row, where: _labels(row, columns, mapping, where))
    read_person = _once(of_person, lambda row, where: _person(row, columns, mapping, where))
    of_answer = [name for name in wanted if columns.answer or name == columns.question]
    parts = (_cells(table, names) for names in (of_labels, of_person, of_answer))
    numbered = enumerate(zip(places, texts, *parts, strict=False), start=2)
    boxes = mapping.kind == "boxes"
    for number, ((key, item), told, label_cells, person_cells, answer_cells) in numbered:
        patient, group, context = told
        where = f"{columns.file}, row {number}"
        try:
            if key is None:
                raise MissingKey(f"the column {columns.key} is empty", where=where)
            if columns.item and item is None:
                raise MissingKey(f"the column {columns.item} is empty", where=where)
            if counts and (count := counts[key, item]) > 1:
                raise _duplicate(key, item, count, where)
            labels, uncertain, absent = read_labels(label_cells, where)
            question = options = answer = None
            if answer_cells:
                row = dict(zip(of_answer, answer_cells, strict=True))
                options, answer = _answer(row, columns, mapping, where)
                question = _text(row, columns.question) or None
            split, age, sex = read_person(person_cells, where)
            answers = boxes or bool(labels) or answer is not None
            # By place: of millions of rows, names take a fortieth of the plan.
            asked = (labels, uncertain, absent, question, options, answer, item, age, sex, context)
            one = Annotation._make((*asked, answers, patient, group, split))
            rows.setdefault(key, []).append(one)
        except InputError as error:
            refusals.append(Refused(_name(key, item) if key else where, error))
    several = [key for key, some in rows.items() if len(some) > 1]
    for key in [key for key in several if _disagreement(rows[key])]:
        what = f"its rows disagree about {_disagreement(rows[key])}"
        refusals.append(Refused(key, BadTable(what, where=key, fix="write it the same in each")))
        del rows[key]
    keys = frozenset([key for key, _ in distinct if key])
    return Annotations({key: tuple(some) for key, some in rows.items()}, tuple(refusals), keys)


def join(
    annotations: Annotations,
    files: Files,
    *,
    table: str,
    pattern: str | None = None,
    exact: bool = False,
    listing: Collection[str] = (),
    told: Collection[str] = (),
) -> Iterator[tuple[str, tuple[str, ...], tuple[Annotation, ...]] | Refused | Filtered]:
    """Pair rows with files by key, as `match_keys` does with `pattern`, `exact` and `listing`.

    Yields (name, files, annotations) with the name that `files` has; Refused for a key that means
    no file, a file that no key means and the table's own faults; Filtered for a row that answers
    nothing. A key of one of the files `told`, of which the source has said already why they
    are no units, yields nothing more.
    """
    yield from annotations.refused
    known = {path: (path,) for path in told} | dict(files) if told else files
    names = match_keys(
        annotations.keys, known, table=table, pattern=pattern, exact=exact, listing=listing
    )
    for key, rows in annotations.rows.items():
        name = names[key]
        if isinstance(name, Unmatched):
            paths = tuple(path for one in name.names for path in known[one])
            yield Refused(key, name.error, paths)
            continue
        if name not in files:
            continue
        some = tuple([row for row in rows if row.answers])
        for row in rows if len(some) < len(rows) else ():
            if not row.answers:
                what = f"{table} asserts no label; the mapping's `none` can name an option for that"
                yield Filtered(_name(name, row.item), "no_label", what, files[name])
        if some:
            yield name, files[name], some
    meant = {found for found in names.values() if isinstance(found, str)}
    meant.update(*(found.names for found in names.values() if not isinstance(found, str)))
    for name in sorted(files.keys() - meant):
        what = f"{table} has no row for it"
        fix = "add a row, or move the file out of the raw folder"
        yield Refused(name, MissingKey(what, where=files[name][0], fix=fix), files[name])


def join_files(
    job: Job,
    mapping: SourceMapping,
    files: Sequence[str],
    *,
    pattern: str | None,
    listing: Collection[str],
    reads: Sequence[str],
) -> Iterator[tuple[str, tuple[Annotation, ...]] | Refused | Filtered]:
    """Pair the rows of the mapping's table with a file each, as `join` does: with the one whose
    path is the key or, where there is a `pattern`, has it.

    Yields (path, annotations). Files that have one key are refused, and a row without a file for
    what its path says; the source `reads` files of these patterns.
    """
    table = read_annotations(job, mapping)
    assert mapping.table is not None
    known = {path: (path,) for path in files}
    several: list[Refused] = []
    if pattern is not None:
        by_key, several = paths_by_key(files, pattern)
        known = {key: (path,) for key, path in by_key.items()}
        yield from several
    pairs = join(
        table,
        known,
        table=mapping.table.file,
        pattern=pattern,
        listing=listing,
        told=[item.key for item in several],
    )
    for item in pairs:
        if isinstance(item, Refused):
            yield with_reason(item, job.raw, reads=reads)
        elif isinstance(item, Filtered):
            yield item
        else:
            _, (path,), annotations = item
            yield path, annotations


def units(
    annotations: Annotations, files: Files, *, table: str, **matching: Any
) -> Iterator[Planned]:
    """As `join`, with pairs as units."""
    for item in join(annotations, files, table=table, **matching):
        yield annotated_unit(*item) if isinstance(item, tuple) else item


def _wanted(columns: TableColumns) -> list[str]:
    lists = (columns.labels, columns.options)
    several = [name for one in lists for name in ((one,) if isinstance(one, str) else one or ())]
    single = (columns.patient, columns.group, columns.split, columns.age, columns.sex)
    texts = (columns.item, columns.question, columns.answer, columns.unit, columns.context)
    return [columns.key, *several, *filter(None, (*single, *texts))]


def shared_key(key: str, patient: str | None) -> str:
    """The key of a patient's rows where a key alone names several patients."""
    return f"{key}, patient {patient or 'not named'}"


def _places(
    table: pl.DataFrame, columns: TableColumns, shared: Collection[str]
) -> list[tuple[str | None, str | None]]:
    """Key and item of each row."""

    keys = _texts(table, columns.key)
    if shared and columns.patient:
        pairs = zip(keys, _texts(table, columns.patient), strict=True)
        keys = (shared_key(key, who) if key in shared and key else key for key, who in pairs)
    return list(zip(keys, _texts(table, columns.item), strict=False))


def _texts(table: pl.DataFrame, column: str | None) -> Iterator[str | None]:
    """The text of each cell of a column; None for ever, where there is no such column."""
    return repeat(None) if column is None else iter(cells.texts(table[column].to_list()))


def _cells(table: pl.DataFrame, columns: Sequence[str]) -> Iterator[_Cells]:
    """Of each row the cells of some columns; no cells for ever, where there are no columns."""
    return table.select(columns).iter_rows() if columns else repeat(())


def _once(
    columns: Sequence[str], read: Callable[[Row, str], _Reading]
) -> Callable[[_Cells, str], _Reading]:
    """As `read`, from the cells of some columns; equal ones are read once."""
    known: dict[_Cells, _Reading] = {}

    def of(own: _Cells, where: str) -> _Reading:
        try:
            return known[own]
        except KeyError:
            reading = known[own] = read(dict(zip(columns, own, strict=True)), where)
            return reading

    return of


def _name(key: str, item: str | None) -> str:
    return key if item is None else f"{key}, item {item}"


def _duplicate(key: str, item: str | None, count: int, where: str) -> DuplicateKey:
    if item is None:
        fix = "keep one row a key, or name a column under `item` that tells its rows apart"
        return DuplicateKey(f"the key {key!r} is in {count} rows", where=where, fix=fix)
    what = f"the item {item!r} of the key {key!r} is in {count} rows"
    return DuplicateKey(what, where=where, fix="keep one row an item")


def _disagreement(rows: list[Annotation]) -> str | None:
    """What the rows of one key should share, and do not."""
    for name in SHARED:
        if len({getattr(row, name) for row in rows}) > 1:
            return name
    return None


def _person_columns(columns: TableColumns) -> list[str]:
    return list(dict.fromkeys(filter(None, (columns.split, columns.age, columns.sex))))


def _person(row: Row, columns: TableColumns, mapping: SourceMapping, where: str) -> _Person:
    """The official split, age and sex of a row, of those that the table has."""

    def cell(column: str | None) -> str | None:
        return cells.text(row[column]) if column else None

    split = _split(cell(columns.split), mapping.split_values, where)
    age = None if columns.age is None else read_age(cell(columns.age))
    return split, age, cells.sex(cell(columns.sex), mapping.sex_values)


def _label_columns(columns: TableColumns) -> list[str]:
    labels = columns.labels or ()
    return [labels] if isinstance(labels, str) else list(dict.fromkeys(labels))


def _labels(row: Row, columns: TableColumns, mapping: SourceMapping, where: str) -> _States:
    """Raw labels that are asserted, uncertain and absent.

    `none` stands for a row that denies every label column; then it is what the row asserts.
    """
    if columns.labels is None:
        return (), (), ()
    if isinstance(columns.labels, str):
        cell = _text(row, columns.labels)
        # A label such as "None" is absent only where the mapping does not know it.
        if cell not in (mapping.labels or mapping.answers):
            cell = cells.text(cell) or ""
        parts = cell.split(columns.label_separator) if columns.label_separator else [cell]
        return tuple([part.strip() for part in parts if part.strip()]), (), ()
    assertions, uncertain, absent = [], [], []
    for name in columns.labels:
        value = _text(row, name).lower()
        if value in _PRESENT:
            assertions.append(name)
        elif value in _UNCERTAIN:
            uncertain.append(name)
        elif value in _ABSENT:
            absent.append(name)
        elif value:
            what = f"{row[name]!r} in the label column {name} is none of 1, 0, -1 and blank"
            raise BadTable(what, where=where)
    denials = len(absent)
    # Of columns that map to one option all must deny it.
    option = {name: mapping.labels.get(name, name) for name in columns.labels}
    others = {option[name] for name in columns.labels if name not in absent}
    absent = [name for name in absent if option[name] not in others]
    # A blank cell means not mentioned, from which nothing follows.
    if mapping.none is not None and denials == len(columns.labels):
        assertions.append(mapping.none)
    return tuple(assertions), tuple(uncertain), tuple(absent)


def _answer(
    row: Row, columns: TableColumns, mapping: SourceMapping, where: str
) -> tuple[tuple[str, ...] | None, str | float | None]:
    """The row's options, of a choice, and its answer; None for a blank one."""
    if columns.answer is None or not (answer := _text(row, columns.answer)):
        return None, None
    if mapping.kind == "number":
        return None, _quantity(row, columns, mapping, where)
    if mapping.kind == "choice":
        return _choice(answer, row, columns, where)
    return None, answer


def _quantity(row: Row, columns: TableColumns, mapping: SourceMapping, where: str) -> float | None:
    """The number in the mapping's unit; None for the usual spellings of an absent value."""
    if (cell := cells.text(row[str(columns.answer)])) is None:
        return None
    if columns.unit and (unit := _text(row, columns.unit)) != mapping.number.unit:
        what = f"{cell} is in {unit or 'no unit'}, and the mapping's unit is {mapping.number.unit}"
        raise BadTable(what, where=where, fix="convert it first")
    if (value := cells.number(cell)) is None:
        what = f"{cell!r} in the column {columns.answer} is no number"
        raise BadTable(what, where=where, fix="write digits with a decimal point, and no unit")
    return value


def _choice(
    answer: str, row: Row, columns: TableColumns, where: str
) -> tuple[tuple[str, ...], str]:
    """Options and answer; the answer may also name the column of its option."""
    if isinstance(columns.options, str):
        parts = _text(row, columns.options).split(columns.option_separator)
        by_column = {}
    else:
        by_column = {name: _text(row, name) for name in columns.options or ()}
        parts = list(by_column.values())
    options = tuple(part.strip() for part in parts if part.strip())
    named = by_column.get(answer)
    if named is not None and answer in options and named != answer:
        what = f"the answer {answer!r} is an option, and names the column of another, {named!r}"
        raise BadTable(what, where=where, fix="write the option out, or rename the columns")
    chosen = answer if answer in options else (named or answer)
    check_choice(options, chosen, where=where)
    return options, chosen


def _split(word: str | None, words: Mapping[str, Split], where: str) -> Split | None:
    if word is None:
        return None
    splits: dict[str, Split] = {split: split for split in SPLITS} | dict(words)
    if word not in splits:
        fix = f"map it under split_values; known: {', '.join(splits)}"
        raise BadTable(f"the split {word!r} is not known", where=where, fix=fix)
    return splits[word]


def _text(row: Row, column: str | None) -> str:
    return (row[column] or "").strip() if column else ""
