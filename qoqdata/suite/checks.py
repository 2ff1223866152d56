"""What every source must keep: its example, its card, and the invariants of a build."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from qoqdata.contract.card import Card
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Source
from qoqdata.suite import damage, examples, survivors
from qoqdata.suite.examples import BuiltExample, build_example
from qoqdata.suite.losses import read_losses
from qoqdata.suite.repetition import digest, digest_elsewhere
from qoqdata.validation import find

#: Units of a simulated tree.
SIMULATED = 50


def test_card_tells_what_a_user_needs(qoqdata_source: Source) -> None:
    """Every text is filled in, and the terms do not contradict each other."""
    card = qoqdata_source.card
    texts = [card.summary, card.citation, card.get, card.layout, card.licence.name]
    assert all(text.strip() for text in texts)
    assert card.homepage is None or card.homepage.startswith("https://")
    if card.access in ("credentialed", "agreement"):
        assert card.redistribution in ("forbidden", "unclear", "no_derivatives")
    used = {card.labels[raw] for raw in card.labels}
    offered = {option for task in card.tasks.values() for option in task.options or ()}
    assert used <= offered


def test_example_gives_the_expected_records(
    qoqdata_source: Source, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """The example's records, their splits and the quarantine are those written down beside it."""
    example = build_example(qoqdata_source, tmp_path / "set")
    if request.config.getoption("--qoqdata-accept"):
        examples.accept(qoqdata_source, example)
    expected = examples.read_expected(qoqdata_source, examples.RECORDS)
    (entry,) = example.dataset.manifest.sources.values()
    assert entry.counts.by_split == Counter(record["split"] for record in expected)
    assert example.records == expected
    assert example.quarantine == examples.read_expected(qoqdata_source, examples.QUARANTINE)
    assert example.records


def test_example_asks_every_task(qoqdata_source: Source, tmp_path: Path) -> None:
    """Every task of the card has a record, and every list of options and map of labels a use.

    What the card's options choose between may need another choice than the default.
    """
    example = build_example(qoqdata_source, tmp_path / "set")
    records, card = list(example.records), built_card(example)
    for name, option in card.options.items():
        for choice in option.choices or () if unused(records, card) else ():
            out = tmp_path / f"{name}-{choice}"
            records += build_example(qoqdata_source, out, options={name: choice}).records
    assert unused(records, card) == []


def test_example_is_valid(qoqdata_source: Source, tmp_path: Path) -> None:
    """The built example keeps every rule of a data set."""
    assert list(find(build_example(qoqdata_source, tmp_path / "set").dataset)) == []


def test_build_does_not_depend_on_the_disk(qoqdata_source: Source, tmp_path: Path) -> None:
    """A second build, of a copy whose files were created in reverse order, gives the same bytes."""
    first = build_example(qoqdata_source, tmp_path / "a")
    copy = tmp_path / "raw"
    for path in reversed(raw_files(qoqdata_source)):
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(raw_folder(qoqdata_source) / path, target)
    assert digest(first) == digest(build_example(qoqdata_source, tmp_path / "b", raw=copy))


def test_build_does_not_depend_on_the_process(qoqdata_source: Source, tmp_path: Path) -> None:
    """A new process, in which sets of texts have another order, gives the same bytes."""
    first = build_example(qoqdata_source, tmp_path / "a")
    second = digest_elsewhere(qoqdata_source, raw_folder(qoqdata_source), tmp_path / "b")
    assert digest(first) == second


def test_private_paths_stay_out(qoqdata_source: Source, tmp_path: Path) -> None:
    """Sources with keyed raw paths leave no raw path in a record."""
    if qoqdata_source.card.raw_paths == "public":
        pytest.skip("raw paths of this source are public")
    example = build_example(qoqdata_source, tmp_path / "set")
    texts = list(_texts(list(example.records)))
    paths = raw_files(qoqdata_source)
    stems = {Path(path).name.partition(".")[0] for path in paths}
    assert [text for text in texts if any(text.startswith(stem) for stem in stems)] == []
    assert [text for text in texts if any(path in text for path in paths)] == []


def test_damaged_tables_are_accounted_for(
    qoqdata_source: Source, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """With rows, columns or all of a table lost, records are the same or said to be missing."""
    whole = build_example(qoqdata_source, tmp_path / "whole")
    labels = raw_labels(built_card(whole))
    cases = damage.table_damages(_raw_bytes(qoqdata_source), labels)
    some = damage.spread(cases, damage.TABLE_CASES)
    if left := len(cases) - len(some):
        note = f"{left} of {len(cases)} damages to tables were not tried"
        request.node.user_properties.append(("qoqdata", (qoqdata_source.card.slug, note)))
    assert table_findings(qoqdata_source, whole, some, tmp_path / "damaged") == []


def test_damaged_media_are_accounted_for(qoqdata_source: Source, tmp_path: Path) -> None:
    """With an image, a signal or a mask lost or cut, the same."""
    whole = build_example(qoqdata_source, tmp_path / "whole")
    cases = damage.media_damages(_raw_bytes(qoqdata_source))
    assert media_findings(qoqdata_source, whole, cases, tmp_path / "damaged") == []


@pytest.mark.parametrize("quirks", [False, True], ids=["plain", "quirks"])
def test_simulated_tree_builds(qoqdata_source: Source, tmp_path: Path, quirks: bool) -> None:
    """A simulated tree gives records, and quarantine for what QUIRKS of the simulator names."""
    if qoqdata_source.simulate is None:
        pytest.skip("this source has no simulator")
    raw = tmp_path / "raw"
    qoqdata_source.simulate(raw, SIMULATED, seed=1, quirks=quirks)
    example = build_example(qoqdata_source, tmp_path / "set", raw=raw)
    failures = [row for row in example.quarantine if row["outcome"] == "quarantined"]
    expected = catalogue.quirks(qoqdata_source) if quirks else frozenset()
    assert {row["reason"]: row["message"] for row in failures}.keys() == expected
    assert len(example.records) + len(example.quarantine) >= SIMULATED
    assert example.records
    assert list(find(example.dataset)) == []


def table_findings(
    source: Source, whole: BuiltExample, cases: list[damage.Damage], work: Path
) -> list[str]:
    """What is wrong with the builds of a source's example under damages to its tables, in words.

    What `losses.yaml` states may go unnoticed, but for one row's loss only in one study.
    """
    official = built_card(whole).splits.rule == "official"
    stated = read_losses(source)
    unused_statements = {(path, kind) for path, kinds in stated.items() for kind in kinds}
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
    ]
    return findings


def media_findings(
    source: Source, whole: BuiltExample, cases: list[damage.Damage], work: Path
) -> list[str]:
    """As `table_findings`, for files that are no tables."""
    official = built_card(whole).splits.rule == "official"
    builds = survivors.damaged_builds(source, raw_folder(source), cases, work)
    return [
        f"{case}: {what}"
        for case, example in builds
        for what in survivors.unsaid(whole, example, official=official)
    ]


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


def _raw_bytes(source: Source) -> dict[str, bytes]:
    return {path: (raw_folder(source) / path).read_bytes() for path in raw_files(source)}


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from (text for member in value.values() for text in _texts(member))
        case list():
            yield from (text for member in value for text in _texts(member))
