"""Which files are one series, from their headers alone: no pixels, and no order of listing.

A series is of one patient, one study, one frame of reference and one geometry, whatever its UID
says; files that name no series are kept together by the next best facts. Notes may be stored: they
hold no identifiers.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qoqdata.errors import InputError
from qoqdata.readers.dicom.coincidence import mixed_contrasts, occupied, stacks_at_one_place
from qoqdata.readers.dicom.header import DicomHeader
from qoqdata.readers.dicom.shared_facts import FOLDER, IDENTITY, SharedFact, folder_of

Headers = Mapping[str, DicomHeader]


@dataclass(frozen=True)
class SeriesFiles:
    """The files of one series, in sorted order.

    `key` is the series instance UID, with what tells it apart where the UID names several; of files
    without one, what they have in common. `notes` say what was not in order. `apart` names the
    facts in which it differs from others of its UID; a `stray` is a single slice that others of its
    UID do not take in, or that names no series. `fault` is why the files cannot be placed.
    """

    key: str
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    stray: bool = False
    fault: InputError | None = None


@dataclass(frozen=True)
class _Part:
    files: list[str]
    labels: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fault: InputError | None = None


def find_series(headers: Headers) -> tuple[SeriesFiles, ...]:
    """The series of files by name, sorted by file; every file is in exactly one of them."""
    named: dict[str, list[str]] = defaultdict(list)
    unnamed: list[str] = []
    for path in sorted(headers):
        uid = headers[path].series_instance_uid
        (unnamed if uid is None else named[uid]).append(path)
    parts = {uid: _parts(paths, headers) for uid, paths in named.items()}
    unnamed = _take_in(unnamed, parts, headers)
    found = [one for uid, some in parts.items() for one in _keyed(uid, some, headers)]
    for (what, name), paths in _by_next_best(unnamed, headers).items():
        folders = len({folder_of(path) for path in paths})
        # A slice to a folder is how some archives export; then the folder tells nothing.
        fact = [FOLDER] if folders < len(paths) else []
        by = [what, *(one.name for one in fact), "geometry", "position"]
        note = f"no series instance UID: kept together by {', '.join(dict.fromkeys(by))}"
        some = [
            replace(part, notes=(note, *part.notes)) for part in _parts(paths, headers, first=fact)
        ]
        found += _keyed(f"{what.replace(' ', '_')}={name}", some, headers, named=False)
    return tuple(sorted(found, key=lambda one: one.files))


def _by_next_best(paths: Sequence[str], headers: Headers) -> dict[tuple[str, str], list[str]]:
    """Files that name no series by frame of reference, else study, else folder."""
    groups: dict[tuple[str, str], list[str]] = defaultdict(list)
    for path in paths:
        header = headers[path]
        if (frame := header.frame_of_reference_uid) is not None:
            groups["frame of reference", frame].append(path)
        elif (study := header.study_instance_uid) is not None:
            groups["study", study].append(path)
        else:
            groups["folder", folder_of(path)].append(path)
    return groups


def _take_in(unnamed: list[str], parts: dict[str, list[_Part]], headers: Headers) -> list[str]:
    """Add to a series the files that name none and have all else in common with that one only.

    They must lie in its folder and frame of reference, where it has no slice. Gives those left.
    """
    homes: dict[tuple[str | None, str], list[tuple[str, int]]] = defaultdict(list)
    for uid, some in parts.items():
        for number, part in enumerate(some):
            for place in {
                (headers[one].frame_of_reference_uid, folder_of(one)) for one in part.files
            }:
                homes[place].append((uid, number))
    left, taken = [], defaultdict(list)
    for path in unnamed:
        frame = headers[path].frame_of_reference_uid
        fitting = [
            (uid, number)
            for uid, number in homes[frame, folder_of(path)]
            if frame is not None and _alike(path, parts[uid][number].files[0], headers)
        ]
        if len(fitting) == 1:
            taken[fitting[0]].append(path)
        else:
            left.append(path)
    for (uid, number), paths in taken.items():
        part = parts[uid][number]
        together = sorted([*part.files, *paths])
        if occupied([headers[one] for one in together]) < len(together):
            left += paths
            continue
        note = (
            f"{len(paths)} of {len(together)} files name no series: taken in by frame of reference,"
            " folder and position"
        )
        parts[uid][number] = replace(part, files=together, notes=(*part.notes, note))
    return sorted(left)


def _alike(path: str, other: str, headers: Headers) -> bool:
    if not headers[path].acquisition.placed:
        return False
    for fact in IDENTITY:
        one, two = fact.value(path, headers[path]), fact.value(other, headers[other])
        if one == two or (fact.told and None in (one, two)):
            continue
        if one is None or two is None or fact.same is None or not fact.same(one, two):
            return False
    return True


def _parts(paths: list[str], headers: Headers, first: Sequence[SharedFact] = ()) -> list[_Part]:
    """Files of one name by identity, then by what tells the stacks at one place apart."""
    parts = [_Part(paths)]
    for fact in (*first, *IDENTITY):
        parts = [one for part in parts for one in _split(part, fact, headers)]
    return [
        one for part in parts for one in ([part] if part.fault else _acquisitions(part, headers))
    ]


def _split(part: _Part, fact: SharedFact, headers: Headers) -> list[_Part]:
    clusters: list[tuple[Any, list[str]]] = []
    exact: dict[Any, list[str]] = {}
    silent: list[str] = []
    for path in part.files:
        value = fact.value(path, headers[path])
        if value is None:
            silent.append(path)
        elif value in exact:
            exact[value].append(path)
        else:
            same = fact.same
            near = next((some for one, some in clusters if same and same(one, value)), None)
            if near is None:
                clusters.append((value, near := []))
            exact[value] = near
            near.append(path)
    notes = part.notes
    if len(clusters) <= 1:
        if clusters and silent and fact.told:
            what = f"{len(silent)} of {len(part.files)} files name no {fact.name}"
            notes = (*notes, f"{what}: taken for that of the others")
        return [replace(part, notes=notes)]
    if fact.shared and 2 < len(clusters) == len(part.files):
        what = f"every file has a {fact.name} of its own: not used"
        return [replace(part, notes=(*notes, what))]
    apart = (*part.apart, fact.name)
    notes = (*notes, f"other files of its series differ in {fact.name}: not part of it")
    out = [
        _Part(some, (*part.labels, _label(fact.name, fact.label(value))), apart, notes)
        for value, some in clusters
    ]
    if silent:
        what = f"the header says no {fact.name}, and other files of its series name several"
        fix = f"write the {fact.name} into the header, or move the file out of the raw folder"
        fault = InputError(what, where=silent[0], fix=fix)
        out.append(_Part(silent, (*part.labels, _label(fact.name, "")), apart, notes, fault))
    return out


def _acquisitions(part: _Part, headers: Headers) -> list[_Part]:
    """Stacks that lie at one place as parts of their own, where a fact tells them apart."""
    own = {path: headers[path] for path in part.files}
    apart = stacks_at_one_place(own)
    if apart is None:
        mixed = mixed_contrasts(own)
        note = f"the slices differ in {' and '.join(mixed)}, and lie at different places"
        return [replace(part, notes=(*part.notes, note)) if mixed else part]
    names, stacks = apart
    said = " and ".join(names)
    return [
        replace(
            part,
            files=files,
            labels=(*part.labels, *map(_label, names, values)),
            apart=(*part.apart, *names),
            notes=(*part.notes, f"{len(stacks)} stacks lie at one place: told apart by {said}"),
        )
        for values, files in stacks
    ]


def _keyed(
    name: str, parts: list[_Part], headers: Headers, *, named: bool = True
) -> list[SeriesFiles]:
    """Parts with their keys: the name alone for the only one that is neither stray nor at fault."""
    stray = [
        (len(parts) > 1 or not named)
        and len(part.files) == 1
        and headers[part.files[0]].frames == 1
        for part in parts
    ]
    good = [not (one or part.fault) for one, part in zip(stray, parts, strict=True)]
    return [
        SeriesFiles(
            key=name if whole and sum(good) == 1 else "/".join((name, *part.labels)),
            files=tuple(part.files),
            notes=part.notes,
            apart=part.apart,
            stray=one,
            fault=part.fault,
        )
        for part, one, whole in zip(parts, stray, good, strict=True)
    ]


def _label(name: str, value: str) -> str:
    return f"{name.replace(' ', '_')}={value}"
