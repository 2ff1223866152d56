"""What every source must keep: its example, its card, and the invariants of a build."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Source
from qoqdata.suite import damage, examples
from qoqdata.suite.examples import BuiltExample, build_example
from qoqdata.suite.extent import WHOLE, Extent
from qoqdata.suite.findings import (
    built_card,
    media_findings,
    raw_bytes,
    raw_files,
    raw_folder,
    raw_labels,
    table_findings,
    unused,
)
from qoqdata.suite.repetition import Digest, another_process, digest
from qoqdata.validation import find


@pytest.fixture(scope="module")
def qoqdata_example(
    qoqdata_source: Source, tmp_path_factory: pytest.TempPathFactory
) -> BuiltExample:
    """The source's example, built once; no test changes it."""
    return build_example(qoqdata_source, tmp_path_factory.mktemp("example") / "set")


@pytest.fixture(scope="module")
def qoqdata_elsewhere() -> Iterator[Digest]:
    """The digest of a build in another process, which is started once."""
    with another_process() as digest_elsewhere:
        yield digest_elsewhere


@pytest.fixture
def qoqdata_extent() -> Extent:
    """How much of each source is tried. A module of tests may say less, with a fixture of its own
    of this name."""
    return WHOLE


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
    qoqdata_source: Source, qoqdata_example: BuiltExample, request: pytest.FixtureRequest
) -> None:
    """The example's records, their splits and the quarantine are those written down beside it."""
    example = qoqdata_example
    if request.config.getoption("--qoqdata-accept"):
        examples.accept(qoqdata_source, example)
    expected = examples.read_expected(qoqdata_source, examples.RECORDS)
    (entry,) = example.dataset.manifest.sources.values()
    assert entry.counts.by_split == Counter(record["split"] for record in expected)
    assert example.records == expected
    assert example.quarantine == examples.read_expected(qoqdata_source, examples.QUARANTINE)
    assert example.records


def test_example_asks_every_task(
    qoqdata_source: Source, qoqdata_example: BuiltExample, tmp_path: Path
) -> None:
    """Every task of the card has a record, and every list of options and map of labels a use.

    What the card's options choose between may need another choice than the default.
    """
    records, card = list(qoqdata_example.records), built_card(qoqdata_example)
    for name, option in card.options.items():
        for choice in option.choices or () if unused(records, card) else ():
            out = tmp_path / f"{name}-{choice}"
            records += build_example(qoqdata_source, out, options={name: choice}).records
    assert unused(records, card) == []


def test_example_is_valid(qoqdata_example: BuiltExample) -> None:
    """The built example keeps every rule of a data set."""
    assert list(find(qoqdata_example.dataset)) == []


def test_build_does_not_depend_on_the_disk(
    qoqdata_source: Source, qoqdata_example: BuiltExample, tmp_path: Path
) -> None:
    """A second build, of a copy whose files were created in reverse order, gives the same bytes."""
    copy = tmp_path / "raw"
    for path in reversed(raw_files(qoqdata_source)):
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(raw_folder(qoqdata_source) / path, target)
    second = build_example(qoqdata_source, tmp_path / "set", raw=copy)
    assert digest(qoqdata_example) == digest(second)


def test_build_does_not_depend_on_the_process(
    qoqdata_source: Source,
    qoqdata_example: BuiltExample,
    qoqdata_elsewhere: Digest,
    tmp_path: Path,
) -> None:
    """Another process, in which sets of texts have another order, gives the same bytes."""
    second = qoqdata_elsewhere(qoqdata_source, raw_folder(qoqdata_source), tmp_path / "set")
    assert digest(qoqdata_example) == second


def test_private_paths_stay_out(qoqdata_source: Source, qoqdata_example: BuiltExample) -> None:
    """Sources with keyed raw paths leave no raw path in a record."""
    if qoqdata_source.card.raw_paths == "public":
        pytest.skip("raw paths of this source are public")
    texts = list(_texts(list(qoqdata_example.records)))
    paths = raw_files(qoqdata_source)
    stems = {Path(path).name.partition(".")[0] for path in paths}
    assert [text for text in texts if any(text.startswith(stem) for stem in stems)] == []
    assert [text for text in texts if any(path in text for path in paths)] == []


def test_damaged_tables_are_accounted_for(
    qoqdata_source: Source,
    qoqdata_example: BuiltExample,
    qoqdata_extent: Extent,
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    """With rows, columns or all of a table lost, records are the same or said to be missing."""
    labels = raw_labels(built_card(qoqdata_example))
    cases = damage.table_damages(raw_bytes(qoqdata_source), labels)
    some = damage.spread(cases, qoqdata_extent.table_damages)
    if left := len(cases) - len(some):
        note = f"{left} of {len(cases)} damages to tables were not tried"
        request.node.user_properties.append(("qoqdata", (qoqdata_source.card.slug, note)))
    sample = qoqdata_extent != WHOLE
    work = tmp_path / "damaged"
    assert table_findings(qoqdata_source, qoqdata_example, some, work, sample=sample) == []


def test_damaged_media_are_accounted_for(
    qoqdata_source: Source, qoqdata_example: BuiltExample, qoqdata_extent: Extent, tmp_path: Path
) -> None:
    """With an image, a signal or a mask lost or cut, the same."""
    cases = damage.media_damages(raw_bytes(qoqdata_source), qoqdata_extent.media_files)
    sample = qoqdata_extent != WHOLE
    work = tmp_path / "damaged"
    assert media_findings(qoqdata_source, qoqdata_example, cases, work, sample=sample) == []


@pytest.mark.parametrize("quirks", [False, True], ids=["plain", "quirks"])
def test_simulated_tree_builds(
    qoqdata_source: Source, qoqdata_extent: Extent, tmp_path: Path, quirks: bool
) -> None:
    """A simulated tree gives records, and quarantine for what QUIRKS of the simulator names."""
    if qoqdata_source.simulate is None:
        pytest.skip("this source has no simulator")
    raw = tmp_path / "raw"
    qoqdata_source.simulate(raw, qoqdata_extent.units, seed=1, quirks=quirks)
    example = build_example(qoqdata_source, tmp_path / "set", raw=raw)
    failures = [row for row in example.quarantine if row["outcome"] == "quarantined"]
    expected = catalogue.quirks(qoqdata_source) if quirks else frozenset()
    assert {row["reason"]: row["message"] for row in failures}.keys() == expected
    assert len(example.records) + len(example.quarantine) >= qoqdata_extent.units
    assert example.records
    assert list(find(example.dataset)) == []


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            yield from (text for member in value.values() for text in _texts(member))
        case list():
            yield from (text for member in value for text in _texts(member))
