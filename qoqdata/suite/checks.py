"""What every source must keep: its example, its card, and the invariants of a build."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qoqdata.contract.manifest import Counts
from qoqdata.sources.protocol import Source
from qoqdata.suite import examples
from qoqdata.suite.examples import BuiltExample, build_example
from qoqdata.validation import find

#: Raw files that the damage tests try, spread over the sorted list.
DAMAGED = 6


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
    """The example's records and quarantine are those written down beside it."""
    example = build_example(qoqdata_source, tmp_path / "set")
    if request.config.getoption("--qoqdata-accept"):
        examples.accept(qoqdata_source, example)
    assert example.records == examples.read_expected(qoqdata_source, examples.RECORDS)
    assert example.quarantine == examples.read_expected(qoqdata_source, examples.QUARANTINE)
    assert example.records


def test_example_is_valid(qoqdata_source: Source, tmp_path: Path) -> None:
    """The built example keeps every rule of a data set."""
    assert list(find(build_example(qoqdata_source, tmp_path / "set").dataset)) == []


def test_build_does_not_depend_on_the_disk(qoqdata_source: Source, tmp_path: Path) -> None:
    """A copy whose files were created in reverse order gives the same bytes."""
    first = build_example(qoqdata_source, tmp_path / "a")
    copy = tmp_path / "raw"
    for path in reversed(_raw_files(qoqdata_source)):
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(qoqdata_source.folder / "example" / "raw" / path, target)
    second = build_example(qoqdata_source, tmp_path / "b", raw=copy)
    assert first.dataset.manifest.digest == second.dataset.manifest.digest


def test_private_paths_stay_out(qoqdata_source: Source, tmp_path: Path) -> None:
    """Sources with keyed raw paths leave no raw path in a record."""
    if qoqdata_source.card.raw_paths == "public":
        pytest.skip("raw paths of this source are public")
    example = build_example(qoqdata_source, tmp_path / "set")
    texts = list(_texts(list(example.records)))
    stems = {Path(path).name.partition(".")[0] for path in _raw_files(qoqdata_source)}
    assert [text for text in texts if any(text.startswith(stem) for stem in stems)] == []
    assert [text for text in texts if any(p in text for p in _raw_files(qoqdata_source))] == []


@pytest.mark.parametrize("damage", ["lost", "cut", "emptied"])
def test_damage_is_accounted_for(qoqdata_source: Source, tmp_path: Path, damage: str) -> None:
    """With a raw file lost or cut, counts reconcile and no surviving record changes silently."""
    whole = build_example(qoqdata_source, tmp_path / "whole")
    before = {record["id"]: _content(record) for record in whole.records}
    files = _raw_files(qoqdata_source)
    for number, path in enumerate(files[:: max(1, len(files) // DAMAGED)]):
        raw = tmp_path / f"raw-{number}"
        shutil.copytree(qoqdata_source.folder / "example" / "raw", raw)
        _damage(raw / path, damage)
        example = build_example(qoqdata_source, tmp_path / f"set-{number}", raw=raw)
        _check_survivors(example, before, path)


def _check_survivors(example: BuiltExample, before: dict[str, dict[str, Any]], path: str) -> None:
    for entry in example.dataset.manifest.sources.values():
        counts: Counts = entry.counts
        assert counts.units == counts.converted + counts.quarantined + counts.filtered
    for record in example.records:
        if not {"images", "ecg", "context"} & set(record):
            continue  # annotation-only: it says so, and training leaves it out
        assert record["id"] in before, f"damage to {path} made a new record"
        assert _content(record) == before[record["id"]], f"damage to {path} changed a record"


def _content(record: dict[str, Any]) -> dict[str, Any]:
    # A lost group list or table may move a unit to another split; what it shows must not change.
    facts = {name: value for name, value in record.items() if name != "split"}
    provenance = {n: v for n, v in record["provenance"].items() if n not in ("digest", "raw")}
    return facts | {"provenance": provenance}


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from (text for member in value.values() for text in _texts(member))
        case list():
            yield from (text for member in value for text in _texts(member))


def _damage(path: Path, how: str) -> None:
    data = path.read_bytes()
    if how == "lost":
        path.unlink()
    else:
        path.write_bytes(data[: len(data) // 2] if how == "cut" else b"")


def _raw_files(source: Source) -> list[str]:
    root = source.folder / "example" / "raw"
    return sorted(
        p.relative_to(root).as_posix()
        for p in root.rglob("*")
        if p.is_file() and not p.name.startswith(".")
    )
