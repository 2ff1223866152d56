"""The files of each case, by the names that both published layouts share."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping

from qoqdata.errors import DuplicateKey, InputError, MissingFile, MissingKey
from qoqdata.sources.joining import Row
from qoqdata.sources.protocol import Job, Planned, Refused, Unit

SERIES = ("dwi", "adc", "flair")
MASK = "msk"
PARTICIPANTS = "participants.tsv"
COLUMNS = ("participant_id", "sex", "age")
#: sub-strokecase0001_ses-0001_FLAIR.nii.gz, in whichever folder; case differs between layouts.
NAME = re.compile(r"(sub-strokecase\d+)_(ses-\d+)_([a-z]+)\.nii(?:\.gz)?", re.IGNORECASE)

#: The paths of a case by what they are: a series or the mask.
Files = Mapping[str, list[str]]


def list_cases(job: Job) -> tuple[dict[str, dict[str, list[str]]], list[Refused]]:
    """Files by case (`sub-strokecase0001_ses-0001`) and by series, and those that are neither."""
    cases: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    strays = []
    for path in job.raw.files("*.nii", "*.nii.gz"):
        match = NAME.fullmatch(path.rpartition("/")[2])
        kind = match[3].lower() if match else ""
        if match is None or kind not in (*SERIES, MASK):
            fix = "files are named as sub-strokecase0001_ses-0001_dwi.nii.gz, or adc, flair, msk"
            error = MissingKey("the name tells no series of a case", where=path, fix=fix)
            strays.append(Refused(path, error, (path,)))
        else:
            cases[f"{match[1].lower()}_{match[2].lower()}"][kind].append(path)
    return {key: dict(files) for key, files in cases.items()}, strays


def plan_case(key: str, files: Files, rows: Mapping[str, list[Row]] | None) -> Planned:
    """The unit of a case: mask, then series in the order of SERIES; or why it is none.

    `rows` are those of the participants, None where they are not asked for.
    """
    paths = tuple(path for own in files.values() for path in own)
    patient = key.partition("_")[0]
    try:
        ordered = tuple(_only(files, kind, key) for kind in (MASK, *SERIES))
        facts = {} if rows is None else _person(rows.get(patient, []), patient)
    except InputError as error:
        return Refused(key, error, paths, group=patient)
    return Unit(key, ordered, patient, patient, facts=facts)


def _only(files: Files, kind: str, key: str) -> str:
    paths = files.get(kind, ())
    if not paths:
        raise MissingFile(f"has no {kind}", where=key, fix="fetch the case again")
    if len(paths) > 1:
        what = f"has {len(paths)} files of {kind}: {', '.join(paths)}"
        raise DuplicateKey(what, where=key, fix="keep the publisher's")
    return paths[0]


def _person(rows: list[Row], patient: str) -> dict[str, str | None]:
    if not rows:
        fix = "fetch the table again, or set the option participants=none"
        raise MissingKey(f"{PARTICIPANTS} has no row for it", where=patient, fix=fix)
    if len(rows) > 1:
        what = f"has {len(rows)} rows in {PARTICIPANTS}"
        raise DuplicateKey(what, where=patient, fix="keep the right one")
    return {name: rows[0][name] for name in ("sex", "age")}
