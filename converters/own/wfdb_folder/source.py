"""Your own WFDB folder: ECG recordings with labels from header comments or a table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Self

from pydantic import model_validator

from qoqdata.contract.card import Card
from qoqdata.errors import InputError, MissingFile, MissingKey
from qoqdata.readers import ecg
from qoqdata.readers.ecg.comments import dx
from qoqdata.readers.ecg.header import read_wfdb_header
from qoqdata.records.content import Ecg, Record
from qoqdata.sources.annotation_table import read_annotations, units
from qoqdata.sources.annotations import Annotation, answered, with_person
from qoqdata.sources.mapping import Mapping as SourceMapping
from qoqdata.sources.mapping import complete_card, parse_mapping
from qoqdata.sources.protocol import Filtered, Job, Planned, Refused, Unit

#: How a multi-segment header names a stretch without recording.
GAP = "~"


class WfdbFolder(SourceMapping):
    """The mapping of a WFDB folder."""

    label_header: Literal["dx"] | None = None
    unmapped: Literal["refuse", "ignore"] = "refuse"

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
    records: dict[str, tuple[str, ...]] = {}
    for header in headers:
        try:
            records[header.removesuffix(".hea")] = _files(header, job)
        except InputError as error:
            yield Refused(header.removesuffix(".hea"), error, (header,))
    # A segment is part of its record, not a record of its own; a signal file is part of one too.
    segments = {path for _, *rest in records.values() for path in rest}
    for path in job.raw.files("*.dat", "*.mat"):
        if path not in segments:
            yield Refused(path, MissingKey("no header names this file", where=path), (path,))
    records = {key: files for key, files in records.items() if files[0] not in segments}
    if mapping.table is not None:
        yield from units(read_annotations(job, mapping), records, table=mapping.table.file)
        return
    for key, files in records.items():
        yield _from_comments(key, files, job)


def convert(unit: Unit, job: Job) -> list[Record]:
    """All leads in mV at the native rate; age and sex of the header where the table has none."""
    recording = ecg.read_ecg(job.raw.resolve(unit.files[0]), limits=job.limits)
    signal = Ecg(recording.leads, recording.fs, recording.signal, recording.valid)
    return [
        Record(
            **with_person(fields, recording.age, recording.sex), ecg=signal, notes=recording.repairs
        )
        for fields in answered(job.card, job.mapping.task, unit)
    ]


def _files(header: str, job: Job) -> tuple[str, ...]:
    """The header and the signal files that it names, those of its segments included."""
    folder = header.rpartition("/")[0]
    prefix = f"{folder}/" if folder else ""
    record = read_wfdb_header(job.raw.resolve(header))
    files = [header, *(f"{prefix}{line.file}" for line in record.signals)]
    for line in record.segments:
        if line.name != GAP:
            files += _files(f"{prefix}{line.name}.hea", job)
    return tuple(dict.fromkeys(files))


def _from_comments(key: str, files: tuple[str, ...], job: Job) -> Planned:
    mapping: WfdbFolder = job.mapping
    codes = dx(read_wfdb_header(job.raw.resolve(files[0])).comments)
    if mapping.unmapped == "ignore":
        codes = tuple(code for code in codes if code in job.card.labels)
    if not codes:
        return Filtered(key, "no_label", "the header's Dx names no label of the mapping", files)
    return Annotation(codes).unit(key, files)
