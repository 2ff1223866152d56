"""Stacks that lie at one place, as echoes, phases and b-values do, and what parts them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from qoqdata.readers.dicom.header import DicomHeader
from qoqdata.readers.dicom.shared_facts import folder_of
from qoqdata.readers.dicom.stack import SAME_PLACE_MM

#: Facts that make stacks, by name and member of `Acquisition`, in the order they are tried in.
_FACTS = {
    "acquisition number": "acquisition_number",
    "echo time": "echo_time",
    "echo number": "echo_number",
    "inversion time": "inversion_time",
    "temporal position": "temporal_position",
    "trigger time": "trigger_time",
    "cardiac phase": "cardiac_phase",
    "frame reference time": "frame_reference_time",
    "b-value": "b_value",
    "gradient": "gradient",
    "image type": "image_type",
    "series number": "series_number",
}

#: Values of the facts, and the files that have them.
Stacks = list[tuple[tuple[str, ...], list[str]]]


def occupied(headers: Sequence[DicomHeader]) -> int:
    """How many places the slices take; one without a place counts as a place of its own."""
    numbers = _places({str(k): header for k, header in enumerate(headers)})
    return len(set(numbers.values())) + len(headers) - len(numbers)


def stacks_at_one_place(
    headers: Mapping[str, DicomHeader],
) -> tuple[tuple[str, ...], Stacks] | None:
    """Names of facts, and the stacks that they make of parallel slices; None for one stack.

    Also None where no one or two facts part the slices cleanly: so that no stack has two slices at
    one place, and all take the same places or, with one fact, there are as many stacks as the
    fullest place has slices. Copies of one object are no stacks.
    """
    places = _places(headers)
    copies = _copies(headers, places)
    files = [path for path in sorted(places) if path not in copies]
    fullest = max(Counter(places[path] for path in files).values(), default=0)
    if fullest < 2:
        return None
    names = [
        name for name in (*_FACTS, "folder") if len({_value(p, headers, name) for p in files}) > 1
    ]
    choices = [*((name,) for name in names), *combinations(names, 2)]
    for even in (True, False):
        for choice in choices if even else choices[: len(names)]:
            stacks: dict[tuple[Any, ...], list[str]] = defaultdict(list)
            for path in files:
                stacks[tuple(_value(path, headers, name) for name in choice)].append(path)
            if _clean([[places[p] for p in some] for some in stacks.values()], fullest, even=even):
                if not even and any(None in values for values in stacks):
                    continue
                return choice, _whole(stacks, choice, headers, set(files))
    return None


def mixed_contrasts(headers: Mapping[str, DicomHeader]) -> tuple[str, ...]:
    """Names of the facts of contrast in which the slices of one stack differ."""
    names = ("echo time", "inversion time", "b-value")
    return tuple(
        name for name in names if len({_value(path, headers, name) for path in headers}) > 1
    )


def _clean(stacks: Sequence[Sequence[int]], fullest: int, *, even: bool) -> bool:
    if len(stacks) != fullest or any(len(set(some)) < len(some) for some in stacks):
        return False
    if even:
        return len({frozenset(some) for some in stacks}) == 1
    return min(map(len, stacks)) > 1


def _whole(
    stacks: Mapping[tuple[Any, ...], list[str]],
    choice: tuple[str, ...],
    headers: Mapping[str, DicomHeader],
    parted: set[str],
) -> Stacks:
    """Stacks with their values in words, and with the copies and unplaced files that fit them.

    What fits none is left with the first, whose reading then tells it.
    """
    whole = {values: list(files) for values, files in stacks.items()}
    first = next(iter(whole))
    for path in headers.keys() - parted:
        values = tuple(_value(path, headers, name) for name in choice)
        whole[values if values in whole else first].append(path)
    return sorted((tuple(map(_words, values)), sorted(files)) for values, files in whole.items())


def _places(headers: Mapping[str, DicomHeader]) -> dict[str, int]:
    """Number of the place of each slice along the normal of the first; none for the unplaced."""
    along: list[tuple[float, str]] = []
    normal: tuple[float, ...] | None = None
    for path in sorted(headers):
        facts = headers[path].acquisition
        if facts.position is None or facts.orientation is None:
            continue
        if normal is None:
            a, b, c, d, e, f = facts.orientation
            normal = (b * f - c * e, c * d - a * f, a * e - b * d)
        along.append((sum(x * n for x, n in zip(facts.position, normal, strict=True)), path))
    numbers: dict[str, int] = {}
    number, start = -1, float("-inf")
    for height, path in sorted(along):
        if height - start >= SAME_PLACE_MM:
            number, start = number + 1, height
        numbers[path] = number
    return numbers


def _copies(headers: Mapping[str, DicomHeader], places: Mapping[str, int]) -> set[str]:
    """Files that repeat an object at its place. A UID at several places tells nothing."""
    by_uid: dict[str, list[str]] = defaultdict(list)
    for path in sorted(places):
        if (uid := headers[path].sop_instance_uid) is not None:
            by_uid[uid].append(path)
    return {
        path
        for some in by_uid.values()
        if len({places[path] for path in some}) == 1
        for path in some[1:]
    }


def _value(path: str, headers: Mapping[str, DicomHeader], name: str) -> Any:
    if name == "folder":
        return folder_of(path)
    value = getattr(headers[path].acquisition, _FACTS[name])
    return None if value == () else value


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_words(one) for one in value)
    return "" if value is None else f"{value:.10g}" if isinstance(value, float) else str(value)
