"""What is searched, filtered and sorted, and how many records have which value.

Facets are counted over their combinations, of which there are thousands where records are millions;
only text, labels and states are looked up record by record.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata.viewer.record_index import FACETS, STATES, Coded, RecordIndex

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

#: Filters by value in their order on the page, and all names of a query.
FILTERS = (*FACETS, "state")
SORTS = ("order", "age", "success_rate", "images")
#: Labels that are counted on the page.
LABELS_SHOWN = 40
#: Selections that are remembered: each takes four bytes a record.
_REMEMBERED = 8
#: Stands for an unknown value among those of two bytes.
_UNKNOWN = 2**16 - 1
_ID = re.compile(r"[0-9a-f]{6,}")


@dataclass(frozen=True)
class RecordQuery:
    """All words of `text`; of each filter any of the values; all of the `labels`.

    `filters` has (name in FILTERS, values); `sort` is one of SORTS.
    """

    text: str = ""
    filters: tuple[tuple[str, tuple[str, ...]], ...] = ()
    labels: tuple[str, ...] = ()
    sort: str = "order"
    descending: bool = False

    def values(self, name: str) -> tuple[str, ...]:
        """The values that filter `name`; empty for all."""
        return dict(self.filters).get(name, ())

    def as_url(self, **more: object) -> str:
        """The arguments of a URL that asks for this, and `more`."""
        pairs: list[tuple[str, object]] = [("q", self.text)] if self.text else []
        pairs += [(name, value) for name, values in self.filters for value in values]
        pairs += [("label", label) for label in self.labels]
        pairs += [("sort", self.sort)] if self.sort != "order" else []
        pairs += [("desc", 1)] if self.descending else []
        return urlencode([*pairs, *more.items()], errors="replace")


def parse_query(arguments: MultiDict[str, str]) -> RecordQuery:
    """The query of a URL's arguments; what it does not know is left out."""
    filters = ((name, tuple(dict.fromkeys(arguments.getlist(name)))) for name in FILTERS)
    sort = arguments.get("sort", "order")
    return RecordQuery(
        text=" ".join(arguments.get("q", "").split()),
        filters=tuple((name, values) for name, values in filters if values),
        labels=tuple(dict.fromkeys(label for label in arguments.getlist("label") if label)),
        sort=sort if sort in SORTS else "order",
        descending=bool(arguments.get("desc", "")),
    )


@dataclass(frozen=True)
class Selection:
    """`rows` (int32) that are asked for, in order; of each filter its values with how many records
    have it under all other filters; of the labels that most have, how many have it."""

    rows: NDArray[np.int32]
    facets: dict[str, list[tuple[str, int]]]
    labels: list[tuple[str, int]]


class Selections:
    """Answers queries on one index; any thread may ask. The last answers are remembered."""

    def __init__(self, index: RecordIndex) -> None:
        self.index = index
        self._answers: OrderedDict[tuple[int, RecordQuery], Selection] = OrderedDict()
        self._orders: dict[tuple[str, bool], NDArray[np.int32]] = {}
        self._lock = threading.Lock()

    def answer(self, query: RecordQuery) -> Selection:
        """The selection of a query, as the states are now."""
        with self._lock:
            key = (self.index.version, query)
            if key not in self._answers:
                self._answers[key] = self._select(query)
                while len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
            self._answers.move_to_end(key)
            return self._answers[key]

    def _select(self, query: RecordQuery) -> Selection:
        index = self.index
        cells = index.cells * np.int32(len(STATES)) + index.states
        total = len(index.combinations) * len(STATES)
        found = _by_text_and_labels(index, query)
        counts = np.bincount(cells if found is None else cells[found], minlength=total)
        codes = {
            name: np.repeat(index.combinations[:, place], len(STATES))
            for place, name in enumerate(FACETS)
        }
        codes["state"] = np.tile(np.arange(len(STATES)), len(index.combinations))
        admitted = {name: self._admitted(name, query, codes[name]) for name in FILTERS}
        facets = {}
        for name in FILTERS:
            others = _all(total, (admitted[other] for other in FILTERS if other != name))
            values = self._values(name)
            sums = np.bincount(codes[name], weights=counts * others, minlength=len(values))
            facets[name] = _counted(values, sums, query.values(name))
        chosen = _all(total, admitted.values())[cells]
        if found is not None:
            chosen &= found
        labels = np.bincount(
            index.label_codes[chosen[index.label_rows]], minlength=len(index.labels)
        )
        return Selection(
            rows=self._in_order(chosen, query),
            facets=facets,
            labels=_counted(index.labels, labels, query.labels)[:LABELS_SHOWN],
        )

    def _values(self, name: str) -> pl.Series:
        return pl.Series(STATES) if name == "state" else self.index.facets[name].values

    def _admitted(
        self, name: str, query: RecordQuery, codes: NDArray[np.int32]
    ) -> NDArray[np.bool_]:
        wanted = query.values(name)
        if not wanted:
            return np.ones(len(codes), bool)
        return self._values(name).is_in(list(wanted)).to_numpy()[codes]

    def _in_order(self, chosen: NDArray[np.bool_], query: RecordQuery) -> NDArray[np.int32]:
        # Without a table of difficulty there are no success rates to sort by.
        if query.sort not in self.index.numbers:
            rows = np.flatnonzero(chosen).astype(np.int32)
            return rows[::-1] if query.descending else rows
        key = (query.sort, query.descending)
        if key not in self._orders:
            self._orders[key] = _order(self.index.numbers[query.sort], query.descending)
        order = self._orders[key]
        return order[chosen[order]]


def _order(values: NDArray[np.float32], descending: bool) -> NDArray[np.int32]:
    """The rows by value, equal ones as they were; unknown values, NaN, come last either way."""
    known = ~np.isnan(values)
    some = values[known]
    # Numbers of two bytes are sorted ten times as fast, and ages and counts are such.
    if len(some) and some.min() >= 0 and some.max() < _UNKNOWN and (some == some.astype(int)).all():
        keys: NDArray[np.uint16] = np.full(len(values), _UNKNOWN, np.uint16)
        keys[known] = _UNKNOWN - 1 - some if descending else some
        return np.argsort(keys, kind="stable").astype(np.int32)
    return np.argsort(-values if descending else values, kind="stable").astype(np.int32)


def without(query: RecordQuery, name: str, value: str) -> RecordQuery:
    """The query without one of its values; `name` is a filter, `label` or `q`."""
    if name == "q":
        return replace(query, text="")
    if name == "label":
        return replace(query, labels=tuple(one for one in query.labels if one != value))
    kept = ((n, tuple(v for v in vs if (n, v) != (name, value))) for n, vs in query.filters)
    return replace(query, filters=tuple((n, vs) for n, vs in kept if vs))


def _by_text_and_labels(index: RecordIndex, query: RecordQuery) -> NDArray[np.bool_] | None:
    """Which records have the words and the labels; None where neither is asked for."""
    found = None
    for word in query.text.split():
        has = _with_word(index, word)
        found = has if found is None else found & has
    for label in query.labels:
        has = _with_label(index, (index.labels == label).to_numpy())
        found = has if found is None else found & has
    return found


def _with_word(index: RecordIndex, word: str) -> NDArray[np.bool_]:
    pattern = f"(?i){re.escape(word)}"
    has = _with_label(index, index.labels.str.contains(pattern).to_numpy())
    for coded in index.texts.values():
        has |= _matching(coded, pattern)
    if _ID.fullmatch(word):
        has |= index.ids.str.starts_with(word).to_numpy()
    return has


def _matching(coded: Coded, pattern: str) -> NDArray[np.bool_]:
    hits = coded.values.str.contains(pattern).to_numpy()
    # Most words stand in few texts, or in none: then no record is looked up.
    return hits[coded.codes] if hits.any() else np.zeros(len(coded.codes), bool)


def _with_label(index: RecordIndex, wanted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    has = np.zeros(len(index), bool)
    if wanted.any():
        has[index.label_rows[wanted[index.label_codes]]] = True
    return has


def _all(total: int, conditions: Iterable[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    result = np.ones(total, bool)
    for condition in conditions:
        result &= condition
    return result


def _counted(
    values: pl.Series, counts: NDArray[np.number], chosen: tuple[str, ...]
) -> list[tuple[str, int]]:
    """Values that some record has or that are chosen, these first, then by count and name."""
    pairs = [
        (str(value), int(count))
        for value, count in zip(values, counts, strict=True)
        if count or value in chosen
    ]
    absent = [(value, 0) for value in chosen if value not in {name for name, _ in pairs}]
    return sorted([*pairs, *absent], key=lambda pair: (pair[0] not in chosen, -pair[1], pair[0]))
