"""Your own WFDB folder: ECG recordings with labels from header comments or a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from qoqdata.contract.card import Card
from qoqdata.errors import InputError, MissingFile, MissingKey
from qoqdata.readers import ecg
from qoqdata.readers.ecg.comments import dx
from qoqdata.readers.ecg.data_file import segment_names, signal_names
from qoqdata.readers.ecg.header import WfdbHeader, read_wfdb_header
from qoqdata.records.content import Ecg, Record
from qoqdata.sources.annotation_table import read_annotations, units
from qoqdata.sources.annotations import Annotation, answered, with_person
from qoqdata.sources.mapping import Mapping as SourceMapping
from qoqdata.sources.mapping import complete_card, parse_mapping
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit


class WfdbFolder(SourceMapping):
    """The mapping of a WFDB folder."""

    label_header: Literal["dx"] | None = Field(
        None, description="take the labels from the comment Dx of the headers, without a table"
    )
    unmapped: Literal["refuse", "ignore"] = Field(
        "refuse", description="what to do with codes that labels does not map"
    )

    @model_validator(mode="after")
    def _labels_come_from_somewhere(self) -> Self:
        if (self.table is None) == (self.label_header is None):
            raise ValueError("name either a table or label_header: dx")
        return self


def configure(card: Card, mapping: Mapping[str, Any]) -> tuple[Card, WfdbFolder]:
    """The card of the user's source."""
    settings = parse_mapping(WfdbFolder, mapping, source=card.slug)
    return complete_card(card, settings, modality="ecg"), settings


def plan(job: Job) -> Iterator[Planned]:
    """One unit a header; with `label_header`, only its comments are read here."""
    mapping: WfdbFolder = job.mapping
    headers = job.raw.files("*.hea")
    if not headers:
        raise MissingFile("no .hea file", where="the raw folder", fix="check --raw")
    parsed, faults = _parsed(headers, job)
    records: dict[str, tuple[str, ...]] = {}
    for header in parsed:
        try:
            records[header] = _files(header, parsed, faults, job)
        except InputError as error:
            faults[header] = error
    # A segment is part of its record, not a record of its own; a signal file is part of one too.
    owners = {path: files[0] for files in records.values() for path in files[1:]}
    yield from _strays(faults, owners.keys() | records.keys(), owners.keys(), job)
    records = {
        header.removesuffix(".hea"): files
        for header, files in records.items()
        if header not in owners
    }
    if mapping.table is not None:
        # A key means a record by its header: a segment's file is none of its spellings.
        heads = {key: files[:1] for key, files in records.items()}
        told = [header.removesuffix(".hea") for header in faults if header not in owners]
        annotations = read_annotations(job, mapping)
        for item in units(annotations, heads, table=mapping.table.file, told=told):
            owner = owners.get(f"{item.key}.hea")
            if owner is not None:
                yield _named_segment(item, owner, mapping.table.file)
            else:
                yield replace(item, files=records.get(item.key, item.files))
        return
    groups = _groups(records)
    for key, files in records.items():
        yield _from_comments(key, files, groups.get(key), parsed[files[0]], job)


def _strays(
    faults: Mapping[str, InputError], named: Set[str], parts: Set[str], job: Job
) -> Iterator[Refused]:
    """Headers at fault that are no part of a record, with the signals by their name; other signals.

    `named` are the files of all records.
    """
    taken = set(named)
    for header, error in sorted(faults.items()):
        if header not in parts:
            own = [path for path in _beside(header, job) if path not in taken]
            taken.update(own)
            yield Refused(header.removesuffix(".hea"), error, (header, *own))
    for path in job.raw.files("*.dat", "*.mat"):
        if path not in taken:
            fix = "fetch its header, or move it out of the raw folder"
            yield Refused(
                path, MissingKey("no header names this file", where=path, fix=fix), (path,)
            )


def convert(unit: Unit, job: Job) -> list[Record]:
    """All leads in mV at the native rate; age and sex of the header where the table has none."""
    recording = ecg.read_ecg(job.raw.resolve(unit.files[0]), limits=job.limits)
    signal = Ecg(recording.leads, recording.fs, recording.signal, recording.valid)
    notes = (*recording.repairs, *recording.masked)
    return [
        Record(**with_person(fields, recording.age, recording.sex), ecg=signal, notes=notes)
        for fields in answered(job.card, job.mapping.task, unit)
    ]


def _parsed(
    headers: Sequence[str], job: Job
) -> tuple[dict[str, WfdbHeader], dict[str, InputError]]:
    """Every header by path, and why others cannot be read; each is read once."""
    parsed: dict[str, WfdbHeader] = {}
    faults: dict[str, InputError] = {}
    for header in headers:
        try:
            parsed[header] = read_wfdb_header(job.raw.resolve(header))
        except InputError as error:
            faults[header] = error
    return parsed, faults


def _files(
    header: str, parsed: Mapping[str, WfdbHeader], faults: Mapping[str, InputError], job: Job
) -> tuple[str, ...]:
    """The header and the signal files that it names; of its segments, those that are there.

    The reader masks what is lost of a segment. One that itself has segments is none of this record.
    """
    record, path = parsed[header], job.raw.resolve(header)
    files = [header, *_in_folder(header, signal_names(record, path))]
    for segment in _in_folder(header, segment_names(record, path)):
        if segment in faults:
            files += [segment, *_beside(segment, job)]
        elif segment in parsed and not parsed[segment].segments:
            own = signal_names(parsed[segment], job.raw.resolve(segment))
            files += [segment, *filter(job.raw.exists, _in_folder(segment, own))]
    return tuple(dict.fromkeys(files))


def _in_folder(header: str, names: Sequence[str]) -> list[str]:
    """Names beside a header as paths in the raw tree."""
    folder, slash, _ = header.rpartition("/")
    return [f"{folder}{slash}{name}" for name in names]


def _beside(header: str, job: Job) -> list[str]:
    """Signal files of a header's own name, for one that does not tell what it names."""
    stem = header.removesuffix(".hea")
    return [path for path in (f"{stem}.dat", f"{stem}.mat") if job.raw.exists(path)]


def _named_segment(item: Planned, owner: str, table: str) -> Planned:
    """The refusal of a key that is a segment's, with its true reason."""
    if not isinstance(item, Refused):
        return item
    what = f"{table} names it, but it is a segment of {owner.removesuffix('.hea')}"
    error = MissingKey(what, where=item.key, fix="name the whole record, or move the segment out")
    return Refused(item.key, error, (f"{item.key}.hea",))


def _groups(records: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """For records that share a signal file, the first of them: they belong into one split."""
    keys_of: dict[str, list[str]] = {}
    for key, files in records.items():
        for file in files:
            if not file.endswith(".hea"):  # a layout is no signal
                keys_of.setdefault(file, []).append(key)
    groups: dict[str, str] = {}
    for first in sorted(records):
        found = [first]
        while found:
            key = found.pop()
            if groups.setdefault(key, first) == first:
                found += (other for file in records[key] for other in keys_of.pop(file, ()))
    shared = {first for key, first in groups.items() if key != first}
    return {key: first for key, first in groups.items() if first in shared}


def _from_comments(
    key: str, files: tuple[str, ...], group: str | None, header: WfdbHeader, job: Job
) -> Planned:
    mapping: WfdbFolder = job.mapping
    codes = dx(header.comments)
    if mapping.unmapped == "ignore":
        codes = tuple(code for code in codes if code in job.card.labels)
    if not codes:
        return Filtered(key, "no_label", "the header's Dx names no label of the mapping", files)
    return Annotation(codes, group=group).unit(key, files)
