"""The questions of a benchmark, from its own files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from qoqdata.api.cataloguing import listed_records
from qoqdata.contract.vocabulary import ANSWER_JOIN
from qoqdata.dataset import Dataset
from qoqdata.errors import BadTable, DatasetError, DuplicateKey, MissingFile, UsageError
from qoqtrain.evaluate.benchmarks.readings import Item, closed_or_open, label_set
from qoqtrain.evaluate.benchmarks.table import Benchmark
from qoqtrain.evaluate.judging import questions_of

_IDS = ("id", "qid", "question_id", "index", "No", "ecg_id", "ecg_path")
_LETTER = re.compile(r"(?:choice |option_|option )?([A-H])", re.IGNORECASE)
_FIRST_LETTER = re.compile(r"\(?([A-H])(?![A-Za-z])")
_OWN_LETTER = re.compile(r"\s*\(?([A-H])\s*[.:)]\s*")


def read_items(path: Path, benchmark: Benchmark) -> list[Item]:
    """The questions of a benchmark's file: JSON, JSON lines, CSV, TSV or Parquet, as published.

    Raises MissingFile, and BadTable and DuplicateKey as `items_of`.
    """
    if not path.is_file():
        raise MissingFile("there is no such file", where=str(path))
    try:
        rows = list(_rows(path))
    except (ValueError, OSError, RecursionError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadTable(f"cannot be read as questions: {reason}", where=str(path)) from error
    return items_of(rows, benchmark, where=str(path))


def items_of(rows: Iterable[Mapping[str, Any]], benchmark: Benchmark, *, where: str) -> list[Item]:
    """The questions of published rows that the benchmark counts, in their order.

    Rows without an id are numbered from 0, all rows of the file counted. Raises BadTable for a row
    without an answer, without options where they are needed, with an answer that is no option, or
    without the column that the benchmark is chosen by; DuplicateKey for an id that is there twice.
    """
    items: dict[str, Item] = {}
    for number, row in enumerate(rows):
        place = f"{where}, row {number}"
        if not isinstance(row, Mapping):
            raise BadTable("is no row of named values", where=place)
        if benchmark.only and not _chosen(row, *benchmark.only, place):
            continue
        name = next((str(row[key]) for key in _IDS if row.get(key) is not None), str(number))
        if name in items:
            raise DuplicateKey(f"the id {name} is there twice", where=place)
        items[name] = _item(name, row, benchmark, place)
    if not items:
        raise BadTable("holds no question of the benchmark", where=where)
    return list(items.values())


def items_of_records(dataset: Dataset, split: str, benchmark: Benchmark) -> list[Item]:
    """The questions of the benchmark in a data set that was built of it, by record id.

    Options are those that the record shows, so letters and scores are those of their order. Raises
    UsageError for a data set without its source, or built with other options than the benchmark
    counts, and for a benchmark that its own file alone can tell; DatasetError for a split without
    records. Cases that a card lists count wherever a build has them, which is never in train.
    """
    source = benchmark.source or benchmark.name
    if benchmark.file_only:
        fix = "name that file with --questions"
        raise UsageError(f"no data set can be asked: {benchmark.file_only}", fix=fix)
    entry = dataset.manifest.sources.get(source)
    if entry is None:
        fix = f"build {source}, or name the benchmark's own file with --questions"
        raise UsageError(f"holds no source {source}", where=str(dataset.root), fix=fix)
    for name, value in benchmark.options:
        if entry.options.get(name) != value:
            what = f"was built with {name}={entry.options.get(name)}, and {value} counts"
            raise UsageError(f"{source} {what}", where=str(dataset.root))
    splits, cases = {split}, None
    if benchmark.listed:
        # A case that the build's own rule had in validation stayed there.
        splits, cases = {"validation", "test"}, listed_records(source, benchmark.task or "")
    there = splits & set(dataset.kept()["split"]) or splits
    rows = [
        row
        for one in sorted(there)
        for row in questions_of(dataset, one)
        if row["source"] == source
        and benchmark.domain in (None, row["domain"])
        and benchmark.task in (None, row["task"])
        and (cases is None or row["id"] in cases)
    ]
    if not rows:
        what = f"has no question of {benchmark.name} in the split {split}"
        raise DatasetError(what, where=str(dataset.root), fix="name another --split")
    return [_item_of_record(row, benchmark) for row in rows]


def _item_of_record(row: Mapping[str, Any], benchmark: Benchmark) -> Item:
    options: tuple[str, ...] = tuple(row["options"] or ())
    right: tuple[str, ...] = (str(row["answer"]),)
    if benchmark.label_columns or benchmark.several:
        own = options if benchmark.label_columns or benchmark.needs_options else ()
        return Item(row["id"], tuple(right[0].split(ANSWER_JOIN)), own)
    if benchmark.by_letter:
        right = _letters(right, options)
    closed = row["task"].startswith("closed") if benchmark.rule is closed_or_open else None
    return Item(row["id"], right, options if benchmark.needs_options else (), closed)


def _item(name: str, row: Mapping[str, Any], benchmark: Benchmark, where: str) -> Item:
    if benchmark.label_columns:
        return Item(name, _true_labels(row, benchmark.labels, where), benchmark.labels)
    answer = next((row[key] for key in benchmark.answers if row.get(key) is not None), None)
    if answer is None:
        answer = _second_turn(row)
    right = _texts(answer)
    if benchmark.several:
        right = _texts([part for text in right for part in text.split(",")])
    if not right:
        fix = f"the answer is read from {' or '.join(benchmark.answers)}"
        raise BadTable("has no answer", where=where, fix=fix)
    options = benchmark.labels or _options(row)
    if benchmark.labels and "conversations" in row:
        right = _leading(right) if benchmark.by_letter else _words_of(right, options)
    if benchmark.needs_options:
        if not options:
            raise BadTable("has no options", where=where)
        if benchmark.by_letter:
            right = _letters(right, options)
        if not right or (not benchmark.by_letter and not set(right) <= set(options)):
            raise BadTable(f"the answer {answer!r} is no option", where=where)
    closed = row.get("answer_type")
    return Item(
        name,
        right,
        options,
        None if closed is None else str(closed).strip().upper() == "CLOSED",
        _groups(row, benchmark.groups),
    )


def _second_turn(row: Mapping[str, Any]) -> Any:
    """The answer of a published conversation: a text, or a list of texts."""
    turns = row.get("conversations")
    if isinstance(turns, list) and len(turns) == 2 and isinstance(turns[1], Mapping):
        return turns[1].get("value")
    return None


def _leading(right: tuple[str, ...]) -> tuple[str, ...]:
    """The letter that an answer begins with: "B", "B. text", "(B) text"."""
    match = _FIRST_LETTER.match(right[0]) if right else None
    return (match[1],) if match else ()


def _words_of(right: tuple[str, ...], labels: tuple[str, ...]) -> tuple[str, ...]:
    """The labels that stand in a reference as whole words, in their order."""
    return label_set(", ".join(right), Item("", (), labels)).given or ()


def _groups(row: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """The columns that figures are repeated by, whose case differs between copies."""
    folded = {str(key).casefold(): value for key, value in row.items()}
    return {name: str(folded[name]) for name in names if folded.get(name) is not None}


def _true_labels(row: Mapping[str, Any], labels: tuple[str, ...], where: str) -> tuple[str, ...]:
    """The labels whose column holds 1; raises BadTable for a column that holds neither 0 nor 1."""
    marks = {label: str(row.get(label)).strip() for label in labels}
    if odd := [label for label, mark in marks.items() if mark not in ("0", "1", "0.0", "1.0")]:
        raise BadTable(f"the column {odd[0]!r} holds {marks[odd[0]]!r}, not 0 or 1", where=where)
    return tuple(label for label in labels if float(marks[label]) == 1.0)


def _chosen(row: Mapping[str, Any], column: str, value: str, where: str) -> bool:
    if row.get(column) is None:
        raise BadTable(f"lacks {column!r}, by which questions are chosen", where=where)
    return str(row[column]).strip().casefold() == value


def _texts(answer: Any) -> tuple[str, ...]:
    parts = answer if isinstance(answer, list | tuple) else [answer]
    return tuple(text for part in parts if part is not None and (text := str(part).strip()))


def _letters(right: tuple[str, ...], options: tuple[str, ...]) -> tuple[str, ...]:
    """Letters of answers given as letters, several joined by commas, or as words of an option."""
    if all(part in options for part in right):
        return tuple(sorted(chr(ord("A") + options.index(part)) for part in right))
    letters = [part.strip().upper() for answer in right for part in answer.split(",")]
    letters_shown = {chr(ord("A") + index) for index in range(len(options))}
    return tuple(sorted(letters)) if set(letters) <= letters_shown else ()


def _options(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Options as a list of texts or of {letter, content}, a mapping by letter, or by column."""
    options = row.get("options")
    if isinstance(options, list):
        if options and all(isinstance(option, Mapping) for option in options):
            options = {str(option.get("letter")): option.get("content") for option in options}
        else:
            return tuple(_bare(str(option)) for option in options)
    if not isinstance(options, Mapping):
        options = {
            letter[1]: value
            for key, value in row.items()
            if (letter := _LETTER.fullmatch(str(key))) and value is not None
        }
    texts = {
        letter.upper(): _bare(str(text)) for letter, text in options.items() if text is not None
    }
    return tuple(texts[letter] for letter in sorted(texts))


def _bare(option: str) -> str:
    """An option without the letter that some files print before it ("A: text")."""
    return _OWN_LETTER.sub("", option, count=1).strip() or option.strip()


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    kind = path.suffix.lower()
    if kind == ".parquet":
        skipped = {"image", "images"}
        columns = [name for name in pl.read_parquet_schema(path) if name not in skipped]
        yield from pl.read_parquet(path, columns=columns, glob=False).iter_rows(named=True)
    elif kind in (".csv", ".tsv"):
        separator = "\t" if kind == ".tsv" else ","
        table = pl.read_csv(path, separator=separator, infer_schema=False, glob=False)
        yield from table.iter_rows(named=True)
    elif kind == ".json":
        loaded = json.loads(path.read_bytes())
        yield from _funbench(loaded) if isinstance(loaded, dict) else loaded
    else:
        with path.open("rb") as lines:
            yield from (json.loads(line) for line in lines if line.strip())


def _funbench(loaded: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Rows of FunBench's task files: {"info": ..., "data": {image: {"gt", "raw_data"}}}."""
    data = loaded.get("data")
    if not isinstance(data, Mapping):
        raise ValueError("a JSON object without 'data'")
    for image, entry in data.items():
        raw = entry.get("raw_data") if isinstance(entry, Mapping) else None
        if not isinstance(raw, Mapping):
            raise ValueError(f"{image} has no 'raw_data'")
        yield {"id": image, "answer": entry.get("gt"), "options": raw.get("options")}
