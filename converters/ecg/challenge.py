"""Recordings in the form of the PhysioNet/CinC Challenges: a header with `Dx` codes, and a .mat.

No collection of this form names its patients, and some hold one recording under two names. Headers
state the first value and the checksum of each lead, so recordings that share all of them are one
group, which stays in one split; no signal is read for it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from qoqdata.errors import InputError, MissingFile, UnreadableFile
from qoqdata.readers.ecg import Recording, read_ecg
from qoqdata.readers.ecg.comments import dx
from qoqdata.readers.ecg.data_file import signal_names
from qoqdata.readers.ecg.header import WfdbHeader, read_wfdb_header
from qoqdata.records.content import Ecg, Record
from qoqdata.sources.asking import ask
from qoqdata.sources.protocol import Converted, Filtered, Job, Planned, Refused, Skipped, Unit
from qoqdata.sources.rawtree import read_text

from .snomed import Statements, read_statements


def plan_recordings(
    job: Job, *, under: str, check: Callable[[WfdbHeader], None] | None = None
) -> Iterator[Planned]:
    """One unit a recording below the folder `under`, whose facts are the `codes` of its header.

    A recording is what has a header or a signal file, or stands in a RECORDS index. `check` raises
    InputError for a header that is to be refused. Raises MissingFile where there is no recording.
    """
    stems = _stems(job, under)
    if not stems:
        raise MissingFile("no recording", where=under, fix="check --raw")
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
    """The tasks `rhythm` and `findings`, each skipped where the codes do not answer it."""
    recording = read_recording(unit, job)
    statements = read_statements(unit.facts["codes"])
    left_out = tuple(f"the code {code} is not known, left out" for code in statements.unknown)
    if reason := _no_rhythm(statements):
        rhythm: Converted = Skipped("rhythm", reason, ", ".join(unit.facts["codes"]))
    else:
        rhythm = record(ask(job.card, "rhythm", statements.rhythms), recording)
    if not statements.findings:
        return [rhythm, Skipped("findings", "no_finding", "the header states no finding")]
    fields = ask(job.card, "findings", statements.findings)
    return [rhythm, record(fields, recording, left_out)]


def read_recording(unit: Unit, job: Job) -> Recording:
    """The recording of a unit, all leads in mV at the rate of the file."""
    return read_ecg(job.raw.resolve(unit.files[0]), limits=job.limits)


def record(fields: dict[str, Any], recording: Recording, notes: tuple[str, ...] = ()) -> Record:
    """A question about a recording, with the age and the sex of its header."""
    signal = Ecg(recording.leads, recording.fs, recording.signal, recording.valid)
    notes = (*recording.repairs, *notes)
    return Record(**fields, ecg=signal, age=recording.age, sex=recording.sex, notes=notes)


def _no_rhythm(statements: Statements) -> str | None:
    """Why the codes do not tell the one rhythm of a recording; None where they do."""
    if statements.unknown:
        return "unknown_code"
    if len(statements.rhythms) > 1:
        return "several_rhythms"
    return None if statements.rhythms else "no_rhythm"


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
