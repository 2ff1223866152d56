"""The endless sequence of records of a stream, and any stretch of it at once."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import polars as pl

from qoqdata.stream.draws import DrawSegment
from qoqdata.stream.index import Index
from qoqdata.stream.order import Pass, in_place, lanes_within, shuffled
from qoqdata.stream.settings import StreamSettings

#: The one component of a stream without a mix.
ALL = ""


@dataclass(frozen=True)
class Stretch:
    """Some draws, in order: arrays of one length.

    `positions` in the global sequence; `components` and `turns`: draw number `turn` of that
    component; `records` in the index; `parts`: a key of the part of a row group (see
    `order.Pass`), of which `ends` tells the last turn that needs it. `turns_after`: turns of
    every component when the stretch is over, at all processes together.
    """

    positions: np.ndarray
    components: np.ndarray
    turns: np.ndarray
    records: np.ndarray
    parts: np.ndarray
    ends: np.ndarray
    turns_after: np.ndarray


@dataclass
class RecordSequence:
    """Passes over components of an index; draws come from a `DrawSegment`, or one by one without.

    `members`: the records of each component in manifest order. A pass over a component is a pure
    function of `key`, its name and the pass number.
    """

    index: Index
    members: Mapping[str, np.ndarray]
    key: tuple[str | int, ...]
    lanes: int
    window: int
    by_shard: bool
    shuffle: bool
    _passes: OrderedDict[tuple[int, int], Pass] = field(default_factory=OrderedDict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_passes": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state | {"_lock": threading.Lock()})

    @property
    def sizes(self) -> np.ndarray:
        """Records of each component, int64."""
        return np.array([len(members) for members in self.members.values()], np.int64)

    @property
    def studies(self) -> dict[str, int]:
        """Distinct studies of each component, of an index that has the column."""
        study = self.index.frame["study"]
        return {name: study.gather(members).n_unique() for name, members in self.members.items()}

    @property
    def study_masses(self) -> dict[str, float]:
        """Studies of each component, a question as its part of the questions about its study."""
        part = 1.0 / self.index.frame.select(pl.len().over("study"))["len"].cast(pl.Float64)
        return {name: float(part.gather(m).sum()) for name, m in self.members.items()}

    def stretch(self, positions: np.ndarray, segment: DrawSegment | None) -> Stretch:
        """The draws at ascending global `positions`, int64, not empty."""
        components, turns, turns_after = self._draws(positions, segment)
        sizes = self.sizes[components]
        numbers, at = turns // sizes, turns % sizes
        records, parts, ends = (np.empty(len(positions), np.int64) for _ in range(3))
        for component, number in sorted({*zip(components.tolist(), numbers.tolist(), strict=True)}):
            here = np.flatnonzero((components == component) & (numbers == number))
            one = self.pass_of(component, number)
            places = at[here]
            records[here] = one.records[places]
            parts[here] = one.parts[places] | (component << 51) | ((number & 0xFFFF) << 35)
            ends[here] = one.last[one.parts[places]] + number * self.sizes[component]
        return Stretch(positions, components, turns, records, parts, ends, turns_after)

    def pass_of(self, component: int, number: int) -> Pass:
        """A pass over a component; its records are numbers in the index."""
        with self._lock:
            if (one := self._passes.get((component, number))) is not None:
                self._passes.move_to_end((component, number))
                return one
            one = self._make(component, number)
            self._passes[component, number] = one
            # A stretch touches a pass and the next one of each component.
            while len(self._passes) > 2 * len(self.members):
                self._passes.popitem(last=False)
            return one

    def _make(self, component: int, number: int) -> Pass:
        name = list(self.members)[component]
        members = self.members[name]
        groups = self.index.groups.of(members)
        if not self.shuffle:
            one = in_place(groups)
        else:
            # Components share the row groups that may be open, as they share the records.
            share = self.lanes * len(members) / len(self.index)
            window = math.ceil(self.window * min(1.0, share))
            n_groups = len(np.unique(groups.group))
            lanes = lanes_within(share, n_groups, lanes=self.lanes, window=window)
            key = (*self.key, "component", name, "pass", number)
            one = shuffled(groups, *key, lanes=lanes, window=window, by_shard=self.by_shard)
        return Pass(members[one.records], one.parts, one.last, one.group)

    def _draws(
        self, positions: np.ndarray, segment: DrawSegment | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        start, stop = int(positions[0]), int(positions[-1]) + 1
        if segment is None:
            return np.zeros(len(positions), np.int64), positions, np.array([stop])
        component = segment.components(start, stop)
        before = segment.counts(start)
        order = np.argsort(component, kind="stable")
        counts = np.bincount(component, minlength=len(before))
        first = np.cumsum(counts) - counts
        turns = np.empty(len(component), np.int64)
        turns[order] = (
            np.arange(len(component)) - first[component[order]] + before[component[order]]
        )
        here = positions - start
        return component[here], turns[here], before + counts


def sequence(
    index: Index, settings: StreamSettings, *, digest: str, group_bytes: float
) -> RecordSequence:
    """The sequence that `settings` ask for over an index of the data set `digest`.

    `group_bytes`: mean size of a row group, by which `settings.memory` bounds lanes and window.
    """
    members = {ALL: np.arange(len(index))}
    if settings.mix is not None:
        members = components(index.frame, settings.mix.by)
    may_be_open = settings.memory / group_bytes
    window = max(1, min(settings.window, int(may_be_open)))
    lanes = lanes_within(may_be_open / window, 2**62, lanes=settings.lanes, window=window)
    return RecordSequence(
        index,
        members,
        (digest, settings.seed),
        lanes,
        window,
        settings.unit == "shard",
        settings.shuffle,
    )


def components(frame: pl.DataFrame, by: str) -> dict[str, np.ndarray]:
    """The records of each component, by name; every record is in exactly one.

    By label or concept, a record belongs to the rarest of its own (of equally rare ones the first
    by name) and to "" when it has none; after other levels, to the rarest within these.
    """
    lists = {"label": "labels", "concept": "concepts"}
    name = pl.Series("key", [""] * frame.height, pl.String)
    for depth, level in enumerate(by.split("/")):
        own = _rarest(frame, lists[level], name) if level in lists else frame[level].fill_null("")
        name = own.alias("key") if depth == 0 else (name + "/" + own).alias("key")
    # One sort instead of a scan a component.
    order = name.to_frame("key").with_row_index("at").sort("key", maintain_order=True)
    groups = order.group_by("key", maintain_order=True).agg("at")
    return {name: np.asarray(at, np.int64) for name, at in groups.iter_rows()}


def _rarest(frame: pl.DataFrame, column: str, within: pl.Series) -> pl.Series:
    named = frame.select(label=column).with_columns(within=within)
    pairs = named.with_row_index("at").explode("label").drop_nulls("label").unique()
    counts = pairs.group_by("within", "label").len()
    rarest = (
        pairs.join(counts, on=["within", "label"])
        .sort("at", "len", "label")
        .group_by("at", maintain_order=True)
        .first()
    )
    rows = frame.select(pl.int_range(pl.len(), dtype=pl.UInt32).alias("at"))
    labels = rows.join(rarest, on="at", how="left", maintain_order="left")
    return labels["label"].fill_null("")
