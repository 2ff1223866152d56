"""What the viewer shows now: a set, or of a half-built one what is done when somebody looks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from qoqdata.contract.card import Card
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.description.quarantine_groups import (
    QuarantineGroup,
    grouped,
    quarantine_groups,
)
from qoqdata.errors import QoqdataError
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue
from qoqdata.viewer.answered import read_answered
from qoqdata.viewer.half_built import (
    Stamp,
    half_built_quarantine,
    is_half_built,
    open_half_built,
    receipts_stamp,
)
from qoqdata.viewer.media import MediaReader
from qoqdata.viewer.raw_windows import NO_RAW, RawWindows
from qoqdata.viewer.record_index import LEAVES, RecordIndex, index_of, read_index
from qoqdata.viewer.selection import Selections


@dataclass(frozen=True)
class Viewed:
    """A data set with what answers queries on it; `undecided` says why nothing can be decided."""

    dataset: Dataset
    index: RecordIndex
    selections: Selections
    media: MediaReader
    undecided: str = ""
    rollouts: pl.DataFrame | None = None
    half_built: bool = False
    raw: RawWindows = NO_RAW

    @property
    def quarantine(self) -> list[QuarantineGroup]:
        """What gave no record; raises DatasetError for a table that is damaged."""
        if self.half_built:
            return grouped(half_built_quarantine(self.dataset.root))
        return quarantine_groups(self.dataset)

    def mask_names(self, source: str) -> Mapping[int, str]:
        """What the codes of a source's masks mean."""
        card = _card(source) if self.half_built else self.dataset.cards[source]
        return {} if card is None else card.mask_codes


def view_of(
    dataset: Dataset | Path,
    policy: str | None,
    rollouts: Path | None = None,
    raw: Mapping[str, Path] | None = None,
    salt: Salt | None = None,
) -> Callable[[], Viewed]:
    """What gives the view of a set; `dataset` is a folder where the set is half-built.

    Of such a one each look has the chunks that are done, and once the build has ended the set.
    `rollouts` are those of a policy, `raw` the raw folders of sources, `salt` that of the build.
    Raises as `read_index`, and BadTable for other rollouts.
    """
    answered = None if rollouts is None else read_answered(rollouts)
    if isinstance(dataset, Dataset):
        viewed = replace(
            _whole(dataset, policy), rollouts=answered, raw=RawWindows(raw or {}, salt)
        )
        return lambda: viewed
    # Nothing was trained on a build that has not ended.
    return _Following(dataset, policy).now


class _Following:
    """The view of a build that goes on; any thread may ask."""

    def __init__(self, root: Path, policy: str | None) -> None:
        self.root, self.policy = root, policy
        self._stamp: Stamp | None = None
        self._viewed: Viewed | None = None
        self._lock = threading.Lock()
        self.now()

    def now(self) -> Viewed:
        """As it is now; read again when a chunk was finished since."""
        with self._lock:
            if self._viewed is None or self._viewed.half_built:
                self._look()
            assert self._viewed is not None
            return self._viewed

    def _look(self) -> None:
        if not is_half_built(self.root):
            self._viewed = _whole(open_dataset(self.root), self.policy)
            return
        stamp = receipts_stamp(self.root)
        if self._viewed is None or stamp != self._stamp:
            self._viewed, self._stamp = _half(self.root), stamp


def _whole(dataset: Dataset, policy: str | None) -> Viewed:
    index = read_index(dataset, policy)
    why = "" if dataset.in_folder else "This set is behind a URL: decide with `qoqdata decide`."
    return Viewed(dataset, index, Selections(index), MediaReader(dataset, index), why)


def _half(root: Path) -> Viewed:
    dataset = open_half_built(root)
    index = index_of(dataset.files.leaves(LEAVES))
    why = "This build has not ended: decide when it has."
    media = MediaReader(dataset, index)
    return Viewed(dataset, index, Selections(index), media, why, half_built=True)


def _card(source: str) -> Card | None:
    """The card that a build of the source starts from; None for one with a mapping of its own."""
    try:
        return catalogue.find_source(source).card
    except QoqdataError:
        return None
