"""The state of a stream: a small JSON value that any number of processes can go on from."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qoqdata.atomic import digest
from qoqdata.errors import DatasetError, UsageError
from qoqdata.stream.draws import UNITS, DrawSegment

VERSION = 1
#: A state takes fewer bytes than this as JSON.
MAX_BYTES = 1000

#: Bytes of a count of draws: a million million are enough.
_COUNT = 5


@dataclass(frozen=True)
class Identity:
    """What a state belongs to: the data set, the records selected from it, and their order.

    `order` are the settings that the order depends on; `weights` tells initial mixes apart.
    """

    data: str
    records: str
    order: dict[str, Any]
    weights: str | None
    key: tuple[str | int, ...]
    components: int


@dataclass(frozen=True)
class Cursor:
    """Where a stream is: the global position, the weights since their last change, and where the
    present loop over it ends (None: never)."""

    position: int
    segment: DrawSegment | None
    end: int | None


def weights_digest(segment: DrawSegment) -> str:
    """Tells segments apart by where they start and by their weights."""
    return digest([segment.start, segment.units.tolist()])[:16]


def write_state(identity: Identity, cursor: Cursor) -> dict[str, Any]:
    """The state as a JSON value of fewer than MAX_BYTES bytes; raises UsageError when it is larger.

    `mix` is there unless the weights are those that the stream began with.
    """
    state = {
        "version": VERSION,
        "data": identity.data,
        "records": identity.records,
        "order": identity.order,
        "weights": identity.weights,
        "position": cursor.position,
        "end": cursor.end,
    }
    segment = cursor.segment
    if segment is not None and weights_digest(segment) != identity.weights:
        before = b"".join(int(n).to_bytes(_COUNT, "big") for n in segment.before)
        state["mix"] = {
            "start": segment.start,
            "before": base64.b85encode(before).decode(),
            "units": base64.b85encode(segment.units.astype("<u4").tobytes()).decode(),
        }
    if len(json.dumps(state)) >= MAX_BYTES:
        what = f"the state of {identity.components} components with changed weights is too large"
        raise UsageError(what, where="reweight", fix="mix by fewer components")
    return state


def read_state(
    state: Mapping[str, Any], identity: Identity, *, initial: DrawSegment | None, other_data: bool
) -> Cursor:
    """The cursor of a state.

    Raises DatasetError when the state is of another data set or of another selection of records
    and `other_data` is false; UsageError when the order was asked for differently or the value is
    no state.
    """
    try:
        if state["version"] != VERSION:
            what = f"has version {state['version']}, this is {VERSION}"
            raise UsageError(what, where="stream state")
        position, end, mix = state["position"], state["end"], state.get("mix")
        if not isinstance(position, int) or position < 0:
            raise ValueError("its position is no count")
        if end is not None and (not isinstance(end, int) or end < position):
            raise ValueError("its end is no later position")
        if not other_data:
            _same_data(state, identity)
        _same_order(state, identity, other_data)
        segment = None if mix is None else _segment(mix, identity)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"is no state of a stream: {error}", where="stream state") from error
    if segment is None or (initial is not None and len(segment.units) != identity.components):
        segment = initial
    return Cursor(position, segment, None if other_data else end)


def _same_data(state: Mapping[str, Any], identity: Identity) -> None:
    fix = "resume on the data set of the checkpoint, or load with other_data=True"
    if state["data"] != identity.data:
        what = f"is of the data set {state['data'][:12]}, this is {identity.data[:12]}"
        raise DatasetError(what, where="stream state", fix=fix)
    if state["records"] != identity.records:
        what = "selected other records: its split, filters, verdicts or difficulties differ"
        raise DatasetError(what, where="stream state", fix=fix)


def _same_order(state: Mapping[str, Any], identity: Identity, other_data: bool) -> None:
    then, now = state["order"], identity.order
    for name in {**now, **then}:
        if then.get(name) != now.get(name):
            what = f"was saved with {name}={then.get(name)!r}, this stream has {now.get(name)!r}"
            fix = f"open the stream with the same {name}"
            raise UsageError(what, where="stream state", fix=fix)
    if state["weights"] != identity.weights and not other_data:
        fix = "open the stream with the weights it began with, load, and then reweight"
        raise UsageError("began with other weights", where="stream state", fix=fix)


def _segment(mix: Mapping[str, Any], identity: Identity) -> DrawSegment:
    counts = base64.b85decode(mix["before"])
    before = [counts[at : at + _COUNT] for at in range(0, len(counts), _COUNT)]
    units = np.frombuffer(base64.b85decode(mix["units"]), "<u4").astype(np.uint64)
    if len(units) != len(before) or int(units.sum()) != UNITS or not isinstance(mix["start"], int):
        raise ValueError("its mix is damaged")
    numbers = np.array([int.from_bytes(n, "big") for n in before], np.int64)
    return DrawSegment(identity.key, mix["start"], numbers, units)
