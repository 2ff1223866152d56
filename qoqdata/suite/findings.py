"""What is wrong with a source, told by its example, in words."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from qoqdata.contract.card import Card
from qoqdata.sources.protocol import Source
from qoqdata.suite import survivors
from qoqdata.suite.damage import Damage
from qoqdata.suite.examples import BuiltExample
from qoqdata.suite.losses import read_losses


def table_findings(
    source: Source, whole: BuiltExample, cases: list[Damage], work: Path, *, sample: bool = False
) -> list[str]:
    """What is wrong with the builds of a source's example under damages to its tables, in words.

    What `losses.yaml` states may go unnoticed, but for one row's loss only in one study; a `sample`
    of the damages does not tell whether the statement is needed.
    """
    official = built_card(whole).splits.rule == "official"
    stated = read_losses(source)
    unused_statements = {
        (path, kind) for path, kinds in stated.items() for kind in kinds if kind != "file"
    }
    findings = []
    builds = survivors.damaged_builds(source, raw_folder(source), cases, work)
    for case, example in builds:
        if case.kind == "order" and not survivors.same(whole, example):
            found = ["columns are read by their place, not by their name"]
        elif case.kind == "headers" and survivors.same(whole, example):
            found = ["the columns are read by their place, or not at all"]
        elif case.kind in ("order", "headers"):
            found = []
        else:
            found = survivors.unsaid(whole, example, official=official)
        if found and case.kind in stated.get(case.path, ()):
            unused_statements.discard((case.path, case.kind))
            studies = survivors.studies_touched(whole, example)
            several = case.row is not None and len(studies) > 1
            found = [f"{len(studies)} studies are not what they were"] if several else []
        findings += [f"{case}: {what}" for what in found]
    findings += [
        f"losses.yaml states {kind} of {path}, of which every loss is noticed"
        for path, kind in sorted(unused_statements)
        if not sample
    ]
    return findings


def media_findings(
    source: Source, whole: BuiltExample, cases: list[Damage], work: Path, *, sample: bool = False
) -> list[str]:
    """As `table_findings`, for files that are no tables.

    What `losses.yaml` states of files may cost or change the one study that they were of.
    """
    official = built_card(whole).splits.rule == "official"
    unused_patterns = {path for path, kinds in read_losses(source).items() if "file" in kinds}
    patterns = sorted(unused_patterns)
    findings = []
    builds = survivors.damaged_builds(source, raw_folder(source), cases, work)
    for case, example in builds:
        found = survivors.unsaid(whole, example, official=official)
        stated = next((one for one in patterns if fnmatchcase(case.path, one)), None)
        if found and stated is not None:
            unused_patterns.discard(stated)
            studies = survivors.studies_touched(whole, example)
            several = len(studies) > 1
            found = [f"{len(studies)} studies are not what they were"] if several else []
        findings += [f"{case}: {what}" for what in found]
    findings += [
        f"losses.yaml states file of {path}, of which every loss is noticed"
        for path in sorted(unused_patterns)
        if not sample
    ]
    return findings


def unused(records: Sequence[dict[str, Any]], card: Card) -> list[str]:
    """Tasks without a record, and options and label maps of which no record has one."""
    words: dict[str, set[str]] = {name: set() for name in card.tasks}
    asked = {record["task"] for record in records}
    for record in records:
        for name in ("labels", "uncertain", "absent"):
            words[record["task"]] |= set(record.get(name) or ())
        words[record["task"]].add(str(record.get("answer")))
    findings = [f"no record has the task {name}" for name in card.tasks if name not in asked]
    for name, task in card.tasks.items():
        if name in asked and task.options and not words[name] & set(task.options):
            findings.append(f"no record has an option of the task {name}")
        if name in asked and task.labels and not words[name] & set(task.labels.values()):
            findings.append(f"no record has a label of the map of the task {name}")
    if card.labels and not set(card.labels.values()) & set().union(*words.values()):
        findings.append("no record has a label of the card's map")
    return findings


def built_card(example: BuiltExample) -> Card:
    """The card as the example was built: completed by the mapping, if the source takes one."""
    (card,) = example.dataset.cards.values()
    return card


def raw_labels(card: Card) -> frozenset[str]:
    """All raw labels and options, by which the columns of labels are known."""
    maps = [card.labels, *(task.labels or {} for task in card.tasks.values())]
    options = [option for task in card.tasks.values() for option in task.options or ()]
    return frozenset(options).union(*maps)


def raw_folder(source: Source) -> Path:
    """The raw tree of the example."""
    return source.folder / "example" / "raw"


def raw_files(source: Source) -> list[str]:
    """The example's raw files, sorted; hidden ones, which no source lists, left out."""
    root = raw_folder(source)
    paths = (path for path in root.rglob("*") if path.is_file() and path.name[0] != ".")
    return sorted(path.relative_to(root).as_posix() for path in paths)


def raw_bytes(source: Source) -> dict[str, bytes]:
    """The example's raw files by path."""
    return {path: (raw_folder(source) / path).read_bytes() for path in raw_files(source)}
