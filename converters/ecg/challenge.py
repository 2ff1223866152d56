"""Recordings in the form of the PhysioNet/CinC Challenges: a header with `Dx` codes, and a .mat.

No collection of this form names its patients, and some hold one recording under two names. Headers
state the first value and the checksum of each lead, so recordings that share all of them are one
group, which stays in one split; no signal is read for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from qoqdata.errors import InputError, MissingFile, UnreadableFile
from qoqdata.readers.ecg.comments import dx
from qoqdata.readers.ecg.data_file import signal_names
from qoqdata.readers.ecg.header import WfdbHeader, read_wfdb_header
from qoqdata.sources.asking import ask
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import read_text

from .recordings import questions, read_recording
from .snomed import read_statements

#: Hz of all recordings of the collections here.
RATE = 500.0

#: The fields of a record, or why the question is not asked.
Asked = dict[str, Any] | Skipped


def plan_recordings(
    job: Job, *, under: str, check: Callable[[WfdbHeader], None] | None = None
) -> Iterator[Planned]:
    """One unit a recording below the folder `under`, whose facts are the `codes` of its header,
    and as `twins` the recordings that have the same signal by theirs.

    A recording is what has a header or a signal file, or stands in a RECORDS index. `check` raises
    InputError for a header that is to be refused. Raises MissingFile where there is no recording.
    """
    stems = _stems(job, under)
    if not stems:
        raise MissingFile("no recording", where=under, fix="check --raw")
    planned = list(_planned(job, stems, check))
    by_group: dict[str, list[str]] = {}
    for item in planned:
        if isinstance(item, Unit) and item.group is not None:
            by_group.setdefault(item.group, []).append(item.key)
    for item in planned:
        if isinstance(item, Unit) and len(keys := by_group.get(item.group or "", [])) > 1:
            twins = [key for key in keys if key != item.key]
            item = replace(item, facts={**item.facts, "twins": twins})
        yield item


def _planned(
    job: Job, stems: Sequence[str], check: Callable[[WfdbHeader], None] | None
) -> Iterator[Planned]:
    """What each recording is by its header alone."""
    known = set(stems)
    for stem in stems:
        key = stem.rpartition("/")[2]
        try:
            path = job.raw.resolve(f"{stem}.hea")
            header = read_wfdb_header(path)
            if check is not None:
                check(header)
            yield _unit(key, stem, header, _signals(stem, header, path, known))
        except InputError as error:
            yield Refused(key, error, (f"{stem}.hea", f"{stem}.mat"))


def convert_recording(unit: Unit, job: Job) -> list[Converted]:
    """The tasks `rhythm`, `findings` and `axis`, each skipped where the codes do not answer it."""
    recording = read_recording(unit.files[0], job, rate=RATE)
    asked, notes = _asked(unit.facts["codes"], job)
    notes = (*notes, *twin_notes(unit))
    return questions(asked, recording, age=recording.age, sex=recording.sex, notes=notes)


def twin_notes(unit: Unit) -> tuple[str, ...]:
    """Which recordings hold the signal of this one under another name."""
    return tuple(f"{key} has the same signal by its header" for key in unit.facts.get("twins", ()))


def unmapped(task: str, code: str) -> Skipped:
    """That a code has no option of a task: counted by code, so that none is lost in silence."""
    named = code if code.isascii() and code.isalnum() else "text"
    return Skipped(task, f"unmapped_{named.lower()[:50]}", code, item=code)


def _asked(codes: Sequence[str], job: Job) -> tuple[list[Asked], tuple[str, ...]]:
    """What the codes of a header answer, and what is to be noted about them."""
    options = {name: task.options or () for name, task in job.card.tasks.items()}
    offered = {label for labels in options.values() for label in labels}
    statements = read_statements(codes, offered)
    # A code without a meaning may be a rhythm, and then the others would be half an answer.
    asked: list[Asked] = [unmapped("rhythm", code) for code in statements.unknown]
    for task, labels in (("rhythm", statements.rhythms), ("findings", statements.findings)):
        if task == "rhythm" and statements.unknown:
            continue
        if labels:
            asked.append(ask(job.card, task, labels))
        else:
            asked.append(Skipped(task, f"no_{task}", ", ".join(codes)))
    directions = [label for label in statements.findings if label in options["axis"]]
    if len(directions) == 1:
        asked.append(ask(job.card, "axis", directions))
    else:
        asked.append(Skipped("axis", "several_axes" if directions else "not_stated"))
    notes = tuple(f"the code {code} has no label here, left out" for code in statements.unknown)
    return asked, notes


def _stems(job: Job, under: str) -> list[str]:
    """Sorted paths of all recordings, without suffix."""
    files = job.raw.files("*.hea", "*.mat", under=under)
    stems = {path.rpartition(".")[0] for path in files}
    for index in job.raw.files("RECORDS", under=under):
        folder = index.rpartition("/")[0]
        names = (line.strip() for line in read_text(job.raw, index).splitlines())
        # An index of folders has lines such as `01/010/`.
        stems.update(f"{folder}/{name}" for name in names if name and not name.endswith("/"))
    return sorted(stems)


def _signals(stem: str, header: WfdbHeader, path: Path, stems: Collection[str]) -> list[str]:
    """Paths of the signal files; raises UnreadableFile for one that is another recording's."""
    folder = stem.rpartition("/")[0]
    signals = [f"{folder}/{name}" for name in signal_names(header, path)]
    for signal in signals:
        other = signal.rpartition(".")[0]
        if other != stem and other in stems:
            what = f"names the signal file of another recording, {signal}"
            raise UnreadableFile(what, where=f"{stem}.hea", fix="fetch the header again")
    return signals


def _unit(key: str, stem: str, header: WfdbHeader, signals: Sequence[str]) -> Unit | Filtered:
    files = (f"{stem}.hea", *signals)
    codes = dx(header.comments)
    if not codes:
        return Filtered(key, "no_label", "the header states no code", files)
    return Unit(key, files, group=_fingerprint(header), facts={"codes": list(codes)})


def _fingerprint(header: WfdbHeader) -> str | None:
    """Length, first values and checksums of all leads; None where the header lacks one."""
    marks = [mark for line in header.signals for mark in (line.first, line.checksum)]
    if None in marks or header.length is None:
        return None
    return " ".join(map(str, (header.length, *marks)))
