"""LIDC-IDRI: chest CTs with lung nodules that four radiologists outlined and rated."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from qoqdata.errors import DuplicateKey, InputError, Misaligned, MissingFile, MissingKey
from qoqdata.readers import dicom
from qoqdata.readers.dicom import SeriesOrder
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.records.content import Record
from qoqdata.sources.cells import integer
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit

from .consensus import join
from .questions import about, all_nodules, presence
from .readings import Readings, read_readings

_PATIENT = re.compile(r"LIDC-IDRI-\d{4}")
#: The listing that the NBIA Data Retriever writes, and its columns.
LISTING, SERIES, IMAGES = "metadata.csv", "Series UID", "Number of Images"


def plan(job: Job) -> Iterator[Planned]:
    """One unit a CT series: folders and readings are joined by the series UID that both name."""
    folders: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files("*.dcm"):
        folders[path.rpartition("/")[0]].append(path)
    found: dict[str, list[str]] = defaultdict(list)
    for path in job.raw.files("*.xml"):
        try:
            if (readings := read_readings(job, path)) is not None:
                found[readings.series_uid].append(path)
            else:
                yield Filtered(path, "no_ct", "readings of something else than a CT", (path,))
        except InputError as error:
            yield Refused(path, error, (path,))
    counts = _counts(job)
    for folder, paths in sorted(folders.items()):
        name = next((part for part in folder.split("/") if _PATIENT.fullmatch(part)), None)
        try:
            header = read_dicom_header(job.raw.header_of(paths[0]), limits=job.limits)
            if header.modality not in (None, "CT"):
                what = f"a series of {header.modality}"
                yield Filtered(folder, "no_ct", what, tuple(paths))
                continue
            if name is None or (key := header.series_instance_uid) is None:
                raise MissingKey("no folder says whose series this is", where=folder)
            xml = found.pop(key, [])
            if counts.get(key, len(paths)) != len(paths):
                what = f"{len(paths)} slices are there, and {LISTING} counts {counts[key]}"
                raise MissingFile(what, where=folder, fix="fetch the series again")
            if len(xml) != 1:
                kind = DuplicateKey if xml else MissingKey
                raise kind(f"{len(xml)} files of readings name this series", where=folder)
            yield Unit(key, (xml[0], *paths), name, name)
        except InputError as error:
            yield Refused(folder, error, tuple(paths), name)
    for uid, paths in sorted(found.items()):
        absent = MissingFile("the series that it names is not there", where=paths[0])
        yield Refused(f"readings {uid}", absent, tuple(paths))


def _counts(job: Job) -> dict[str, int]:
    """Images of each series by the listing of the download, where it has one."""
    found: dict[str, int] = {}
    for path in job.raw.files(LISTING):
        table = job.raw.csv(path, columns=(SERIES, IMAGES))
        for row in table.iter_rows(named=True):
            if row[SERIES] is not None and (count := integer(row[IMAGES])) is not None:
                found[row[SERIES]] = count
    return found


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about slices of the scan, and about each nodule that readers agree on."""
    readings = read_readings(job, unit.files[0])
    paths = [job.raw.resolve(path) for path in unit.files[1:]]
    order = dicom.read_series_order(paths, limits=job.limits)
    if readings is None or order.ids.series_instance_uid != readings.series_uid:
        raise MissingKey("readings and slices are of different series", where=unit.files[0])
    if order.ids.patient_id not in (None, unit.patient):
        raise MissingKey("its headers name another patient than its folder", where=unit.files[1])
    places = {uid: at for at, uid in enumerate(order.ids.sop_instance_uids) if uid is not None}
    shape = (order.header.rows or 0, order.header.columns or 0)
    nodules, points = join(readings, places, shape)
    _check_heights(readings, places, order, unit.files[0])
    asked = [presence(order, nodules, points, job), all_nodules(order, nodules, job)]
    for nodule in nodules:
        asked += about(nodule, order, job)
    person: dict[str, Any] = {"age": order.header.age, "sex": order.header.sex}
    return [one if isinstance(one, Skipped) else Record(**one, **person) for one in asked]


def _check_heights(
    readings: Readings, places: Mapping[str, int], order: SeriesOrder, where: str
) -> None:
    """Raise Misaligned for headers that put a slice elsewhere than its readers saw it: feet and
    head, and with them left and right, may be exchanged."""
    rise, lowest, gap = order.affine[2, 0], order.affine[2, 3], order.spacing[0]
    for nodule in readings.nodules:
        for one in nodule.contours:
            height = lowest + rise * places[one.sop_uid]
            if one.height is not None and abs(one.height - height) > gap / 2:
                what = f"a slice lies at {height:g} mm, and its readings say {one.height:g} mm"
                raise Misaligned(what, where=where, fix="fetch the series again")
