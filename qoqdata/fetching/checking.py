"""Check what lies in a raw folder: against its publisher's listing, and by planning the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from qoqdata.errors import QoqdataError, UsageError
from qoqdata.fetching.channels import PublishedFile
from qoqdata.fetching.download import fault_of
from qoqdata.progress import ProgressCallback, silent
from qoqdata.sources.protocol import Filtered, Job, Refused, Source
from qoqdata.sources.rawtree import open_raw


@dataclass(frozen=True)
class RawCheck:
    """What is wrong with a raw folder.

    listed, missing, altered   files of the publisher's listing; None where there is none. `altered`
                               says what differs
    units, expected            that planning finds, and that the card expects of a complete copy
    refused, filtered          of them, by reason, with the first message each
    failure                    why the source as a whole cannot be planned
    """

    listed: int | None
    missing: tuple[str, ...]
    altered: dict[str, str]
    units: int
    expected: int | None
    refused: dict[str, tuple[int, str]]
    filtered: dict[str, tuple[int, str]]
    failure: str | None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong, as far as it can be told."""
        counts = self.expected in (None, self.units)
        faults = self.missing or self.altered or self.refused or self.failure
        return counts and not faults


def check_raw(
    source: Source,
    raw: Path,
    files: Sequence[PublishedFile] | None,
    progress: ProgressCallback = silent,
) -> RawCheck:
    """Compare `raw` with the listing and plan the source with its default options; no pixels.

    `progress` hears of files of the listing. Raises UsageError where `raw` is no folder, and for a
    source that needs a mapping.
    """
    if not raw.is_dir():
        raise UsageError("is no folder", where=str(raw), fix="name the raw folder")
    if source.card.needs_mapping:
        fix = f"run `qoqdata build {source.card.slug} --mapping mapping.yaml --limit 1`"
        raise UsageError("is planned by a mapping", where=source.card.slug, fix=fix)
    missing, altered = [], {}
    for done, file in enumerate(files or (), start=1):
        path = raw / file.path
        if not path.is_file():
            missing.append(file.path)
        elif (fault := fault_of(path, file)) is not None:
            altered[file.path] = fault
        progress(done, len(files or ()))
    units, failure = 0, None
    refused: Counter[str] = Counter()
    filtered: Counter[str] = Counter()
    messages: dict[str, str] = {}
    options = {name: option.default for name, option in source.card.options.items()}
    try:
        for one in source.plan(Job(source.card, open_raw(raw), options=options)):
            units += 1
            match one:
                case Refused():
                    refused[one.error.code] += 1
                    messages.setdefault(one.error.code, str(one.error))
                case Filtered():
                    filtered[one.reason] += 1
                    messages.setdefault(one.reason, one.message)
    except QoqdataError as error:
        failure = str(error)
    return RawCheck(
        None if files is None else len(files),
        tuple(missing),
        altered,
        units,
        source.card.expected.units,
        {reason: (count, messages[reason]) for reason, count in sorted(refused.items())},
        {reason: (count, messages[reason]) for reason, count in sorted(filtered.items())},
        failure,
    )
