"""LNDb: chest CTs with lung nodules as one to three radiologists read them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qoqdata.contract.vocabulary import Split
from qoqdata.errors import BadTable, DuplicateKey, InputError, MissingFile, QoqdataError
from qoqdata.readers import volume
from qoqdata.records.content import Record
from qoqdata.sources.companions import data_files
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit

from ..views import check_hounsfield
from .findings import FOLD_NAMES, read_scans
from .outlines import outline
from .questions import about_nodule, about_spot, follow_up, nodules, presence

_FILE = re.compile(r"LNDb-0*(\d+)(?:_rad(\d+))?\.mhd", re.IGNORECASE)


def plan(job: Job) -> Iterator[Planned]:
    """One unit a scan of the tables; masks are joined by scan and reader."""
    listing = job.raw.files()
    listed = frozenset(listing)
    files: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for path in listing:
        if match := _FILE.fullmatch(path.rpartition("/")[2]):
            files[match[1]][int(match[2] or 0)].append(path)
    for scan, facts in read_scans(job):
        own = files.pop(scan, {})
        paths = tuple(path for several in own.values() for path in several)
        split = None if isinstance(facts, QoqdataError) else _split(facts["fold"], job)
        try:
            if isinstance(facts, QoqdataError):
                raise facts
            headers = _headers(own, facts)
            data = {path: data_files(path, job.raw, listed) for path in headers.values()}
            facts |= {"headers": {str(reader): path for reader, path in headers.items()}}
            everything = (*headers.values(), *(one for some in data.values() for one in some))
            yield Unit(scan, everything, scan, scan, split, facts)
        except InputError as error:
            yield Refused(scan, error, paths, scan, split)
    for scan, own in sorted(files.items()):
        paths = tuple(path for several in own.values() for path in several)
        yield Filtered(scan, "no_label", "no table has it: a scan of the challenge's test", paths)


def convert(unit: Unit, job: Job) -> list[Converted]:
    """Questions about the scan, about all its nodules, and about each finding."""
    facts = unit.facts
    headers = dict(facts["headers"])
    scan = volume.read_volume(job.raw.resolve(headers.pop("0")), limits=job.limits)
    check_hounsfield(scan)
    masks = {
        int(reader): volume.read_volume(job.raw.resolve(path), limits=job.limits)
        for reader, path in sorted(headers.items())
    }
    drawn = outline(scan, facts["findings"], masks, facts["readers"])
    asked = [presence(scan, drawn, job), nodules(scan, drawn, job)]
    for finding in facts["findings"]:
        asked += about_nodule(finding, scan, drawn, facts["readers"], job)
        asked += about_spot(finding, scan, drawn, facts["readers"], job)
    asked.append(follow_up(scan, drawn, facts, unit, job))
    return [one if isinstance(one, Skipped) else Record(**one) for one in asked]


def _split(fold: str, job: Job) -> Split:
    test = FOLD_NAMES.index(job.options["test_fold"])
    far = (FOLD_NAMES.index(fold) - test) % len(FOLD_NAMES)
    return "test" if far == 0 else "validation" if far == 1 else "train"


def _headers(own: Mapping[int, Sequence[str]], facts: Mapping[str, Any]) -> dict[int, str]:
    """The header of the scan, as 0, and those of its readers' masks."""
    if twice := next((paths for paths in own.values() if len(paths) > 1), None):
        raise DuplicateKey("lies there twice", where=twice[1], fix="keep one of them")
    if 0 not in own:
        raise MissingFile("the scan is not there", where="LNDb", fix="unpack data0 to data5")
    marks = [mark for finding in facts["findings"] for mark in finding["marks"]]
    needed = {mark["reader"] for mark in marks if mark["outlined"]}
    if lost := sorted(needed - set(own)):
        raise MissingFile(f"the mask of reader {lost[0]} is not there", where=own[0][0])
    if beyond := [reader for reader in own if reader > facts["readers"]]:
        what = f"is of reader {beyond[0]}, and the tables count {facts['readers']}"
        raise BadTable(what, where=own[beyond[0]][0])
    return {reader: paths[0] for reader, paths in sorted(own.items())}
