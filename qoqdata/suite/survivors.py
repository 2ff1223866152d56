"""A build of a damaged tree against that of the whole one: what changed, and what went unsaid."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qoqdata.atomic import remove_tree
from qoqdata.contract.manifest import Counts, SourceEntry
from qoqdata.sources.protocol import Source
from qoqdata.suite.damage import Damage
from qoqdata.suite.examples import BuiltExample, build_example

#: What makes a record more than an annotation; without it training leaves the record out.
CONTENT = frozenset({"images", "ecg", "context"})
ANSWER = ("labels", "uncertain", "absent", "answer")


def damaged_builds(
    source: Source, raw: Path, damages: Sequence[Damage], work: Path
) -> Iterator[tuple[Damage, BuiltExample]]:
    """Each damage to the tree `raw` with the build of the damaged copy, which lies below `work`."""
    tree = work / "raw"
    shutil.copytree(raw, tree)
    for number, damage in enumerate(damages):
        path = tree / damage.path
        whole = path.read_bytes()
        if damage.data is None:
            path.unlink()
        else:
            path.write_bytes(damage.data)
        out = work / f"set-{number}"
        yield damage, build_example(source, out, raw=tree)
        remove_tree(out)
        path.write_bytes(whole)


def unsaid(before: BuiltExample, after: BuiltExample, *, official: bool) -> list[str]:
    """Every way in which a damaged build says something else than the whole one, in words.

    Records that survive are the same, no new one is made, and for what is missing a source, a
    unit or a question is refused, filtered or skipped. `official` splits stay as they are; by a
    hash, records may all go to one split, as where the table of groups is lost.
    """
    entry = _entry(after)
    counts: Counts = entry.counts
    findings = []
    if counts.units != counts.converted + counts.quarantined + counts.filtered:
        findings.append("the counts of units do not add up")
    was = {record["id"]: record for record in before.records}
    for record in after.records:
        if (old := was.get(record["id"])) is not None:
            findings += _changes(old, record)
        elif CONTENT & set(record):
            findings.append(f"a new record, {_named(record)}")
    findings += _moved(was, after.records, official=official)
    return findings if entry.refused else findings + _unaccounted(before, after)


def same(before: BuiltExample, after: BuiltExample) -> bool:
    """Whether two builds gave the same records and left the same things out."""
    return _left_out(before) == _left_out(after) and [
        _content(record) for record in before.records
    ] == [_content(record) for record in after.records]


def studies_touched(before: BuiltExample, after: BuiltExample) -> set[str]:
    """The studies of which a record is another one, gone or new."""
    was, now = ({one["id"]: one for one in example.records} for example in (before, after))
    return {
        (was.get(key) or now[key])["study"]
        for key in {*was, *now}
        if key not in was or key not in now or _content(was[key]) != _content(now[key])
    }


def _changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    if CONTENT & set(old) and not CONTENT & set(new):
        # An annotation only: it says so, and still answers as it did.
        one, other = ({name: row.get(name) for name in ANSWER} for row in (old, new))
    else:
        one, other = _content(old), _content(new)
    return [
        f"{name} of {_named(new)} changed from {one.get(name)!r} to {other.get(name)!r}"
        for name in sorted(set(one) | set(other))
        if one.get(name) != other.get(name)
    ]


def _content(record: dict[str, Any]) -> dict[str, Any]:
    facts = {name: value for name, value in record.items() if name != "split"}
    provenance = {n: v for n, v in record["provenance"].items() if n not in ("digest", "raw")}
    return facts | {"provenance": provenance}


def _moved(
    was: Mapping[str, dict[str, Any]], records: Sequence[dict[str, Any]], *, official: bool
) -> list[str]:
    moved = [one for one in records if one["id"] in was and one["split"] != was[one["id"]]["split"]]
    if not moved or (not official and len({one["split"] for one in records}) == 1):
        return []
    old, new = was[moved[0]["id"]]["split"], moved[0]["split"]
    return [f"{len(moved)} records moved to another split, the first from {old} to {new}"]


def _unaccounted(before: BuiltExample, after: BuiltExample) -> list[str]:
    """Studies and questions that are gone without a row or a count that says so."""
    studies, left = ({record["study"] for record in one.records} for one in (before, after))
    lost = len(studies - left)
    rows = (_left_out(after) - _left_out(before)).total()
    findings = []
    if lost > rows:
        findings.append(f"{lost} studies are gone, and {rows} more are refused or filtered")
    ids = {record["id"] for record in after.records}
    questions = sum(one["id"] not in ids and one["study"] in left for one in before.records)
    # A unit that is gone takes its skipped questions along, so there may be fewer.
    skips = max(_skipped(after) - _skipped(before), 0)
    if questions > skips:
        what = f"{questions} questions about studies that are there are gone"
        findings.append(f"{what}, and {skips} more are skipped")
    return findings


def _left_out(example: BuiltExample) -> Counter[tuple[str, str, str]]:
    return Counter((row["unit"], row["outcome"], row["reason"]) for row in example.quarantine)


def _skipped(example: BuiltExample) -> int:
    reasons = _entry(example).counts.model_dump().get("skipped", {}).values()
    return sum(count for counts in reasons for count in counts.values())


def _entry(example: BuiltExample) -> SourceEntry:
    (entry,) = example.dataset.manifest.sources.values()
    return entry


def _named(record: dict[str, Any]) -> str:
    return f"record {record['id'][:8]} ({record['task']})"
