"""The predictions file: what a policy answered, by record id."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from qoqdata.errors import BadTable, DuplicateKey, MissingFile
from qoqdata.parquet_memory import require_memory

Scores = Mapping[str, float] | tuple[float, ...]
_COLUMNS = ("id", "response", "scores", "seen_sizes")


@dataclass(frozen=True)
class Prediction:
    """What a policy gave for one record.

    response    its text without the prompt; None where it gave none
    scores      one number an option, larger is likelier: by option, or in the order of the options
    seen_sizes  (width, height) of every image as the policy saw it; None: as stored
    """

    response: str | None
    scores: Scores | None = None
    seen_sizes: tuple[tuple[float, float], ...] | None = None


def read_predictions(path: Path) -> dict[str, Prediction]:
    """Predictions by id, from Parquet (*.parquet) or JSON lines (any other name).

    Columns: `id`, `response`; optional `scores` (a list or a mapping) and `seen_sizes` (a list of
    [width, height]); others are left alone. Raises MissingFile, BadTable for a file or row that
    cannot be read as such, and DuplicateKey for an id that is there twice.
    """
    if not path.is_file():
        raise MissingFile("there is no such file", where=str(path))
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    return predictions_of(rows)


def predictions_of(rows: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Prediction]:
    """Predictions by id from (where, row) pairs; raises as `read_predictions`."""
    predictions: dict[str, Prediction] = {}
    for where, row in rows:
        key, response = row.get("id"), row.get("response")
        if not isinstance(key, str) or _text(key) != key:
            raise BadTable(f"the id {key!r} is no text", where=where, fix="give `id` as text")
        if "response" not in row or not isinstance(response, str | None):
            fix = "give `response` as text, null for none"
            raise BadTable("has no response that is text", where=where, fix=fix)
        if key in predictions:
            raise DuplicateKey(f"the id {key} is there twice", where=where, fix="keep one of them")
        scores = _scores(row.get("scores"), where)
        text = None if response is None else _text(response)
        predictions[key] = Prediction(text, scores, _sizes(row.get("seen_sizes"), where))
    return predictions


def _text(text: str) -> str:
    """`text` with U+FFFD for lone surrogates, which JSON can spell and no file can hold."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _parquet_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    try:
        require_memory(path)
        present = pl.read_parquet_schema(path)
        columns = [name for name in _COLUMNS if name in present]
        table = pl.read_parquet(path, columns=columns, glob=False)
    except (pl.exceptions.PolarsError, OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BadTable(f"cannot be read as Parquet: {reason}", where=str(path)) from error
    if lacking := [name for name in ("id", "response") if name not in columns]:
        fix = "predictions need `id` and `response`"
        raise BadTable(f"lacks the column {lacking[0]!r}", where=str(path), fix=fix)
    for number, row in enumerate(table.iter_rows(named=True), start=1):
        yield f"{path}, row {number}", row


def _json_rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise BadTable("is no JSON object", where=where) from error
            if not isinstance(row, dict):
                raise BadTable("is no JSON object", where=where)
            yield where, row


def _scores(value: Any, where: str) -> Scores | None:
    if value is None:
        return None
    if isinstance(value, list) and value and isinstance(value[0], dict):
        # A Parquet map arrives as a list of entries.
        value = {entry.get("key"): entry.get("value") for entry in value}
    if isinstance(value, dict):
        # A Parquet struct has a field for every option of the file, null where not given.
        by_option = {str(name): score for name, score in value.items() if score is not None}
        return dict(zip(by_option, _numbers(by_option.values(), where), strict=True)) or None
    if isinstance(value, list):
        return tuple(_numbers(value, where))
    raise BadTable("scores are no list and no mapping", where=where)


def _numbers(values: Iterable[Any], where: str) -> list[float]:
    numbers = []
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise BadTable(f"the score {value!r} is no number", where=where)
        try:
            number = float(value)
        except OverflowError as error:
            raise BadTable("a score is beyond float64", where=where) from error
        if math.isnan(number):
            raise BadTable("a score is no number", where=where)
        numbers.append(number)
    return numbers


def _sizes(value: Any, where: str) -> tuple[tuple[float, float], ...] | None:
    if value is None:
        return None
    try:
        sizes = tuple((float(width), float(height)) for width, height in value)
    except (TypeError, ValueError, OverflowError) as error:
        fix = "one [width, height] an image"
        raise BadTable("seen_sizes is no list of sizes", where=where, fix=fix) from error
    if not all(0 < side < math.inf for size in sizes for side in size):
        raise BadTable("seen_sizes holds an impossible size", where=where)
    return sizes
