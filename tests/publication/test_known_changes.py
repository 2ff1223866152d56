"""Shards of a bucket in which something changes: made once to be searched, and then to be sent."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.contract.manifest import Shard
from qoqdata.curation.burned_in import blanking
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.publication import leaving_changes, leaving_shards, passing_shards
from qoqdata.publication.leaving_changes import Change
from qoqdata.publication.searched import Searched
from qoqdata.remote.store import StoreFolder
from qoqdata.suite.examples import SALT
from tests.publication.test_from_bucket import send, tree
from tests.publication.test_searched import interrupted
from tests.publication.test_staging import drop

URL = "memory://changing/mixed"
MEMORY = fsspec.filesystem("memory").__class__
pytestmark = pytest.mark.usefixtures("salt_and_cache")


#: In which something changes: all records are dropped, one is, and one is blanked.
GONE, LESS, BLACK = (
    f"{name}.parquet"
    for name in ("ptb_xl/validation-00000", "ptb_xl/test-00000", "ham10000/train-00001")
)
SHARDS = {GONE, LESS, BLACK}


class Set:
    """A set in a folder and in a bucket, of which records are dropped, and others blanked."""

    def __init__(self, root: Path, cache: Path) -> None:
        self.root, self.cache = root, cache
        self.boxes: dict[str, dict[int, list[tuple[int, int, int, int]]]] = {}
        dataset = open_dataset(root)
        self.ids = {
            name: pq.read_table(root / "data" / name, columns=["id"])["id"].to_pylist()
            for name in SHARDS
        }
        assert set(self.ids) < {s.path.removeprefix("data/") for s in dataset.manifest.shards}

    def decide(self, *dropped: str, width: int = 8) -> None:
        """Drop these beside all of GONE, and make a corner of the first of BLACK black."""
        drop(open_dataset(self.root), [*self.ids[GONE], *dropped])
        qoqdata.curate(self.root)
        self.boxes = {self.ids[BLACK][0]: {0: [(0, 0, width, 8)]}}
        send(self.root, StoreFolder(URL))

    def came_first(self, to: Path) -> set[str]:
        """Those of SHARDS that come before anything is sent, or shown on the release's page."""
        came: list[str] = []
        fetch = MEMORY.get_file

        def noted(system: object, source: str, *args: Any, **kwargs: Any) -> Any:
            came.append(source.partition("/data/")[2])
            return fetch(system, source, *args, **kwargs)

        shutil.rmtree(self.cache / "shards", ignore_errors=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(MEMORY, "get_file", noted)
            patch.setattr("qoqdata.publication.release.write_pages", lambda *_: None)
            interrupted(URL, to)
        return SHARDS.intersection(came)


@pytest.fixture
def changing(mixed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Set]:
    root = Path(shutil.copytree(mixed.root, tmp_path / "folder" / "mixed"))
    made = Set(root, tmp_path / "cache")
    monkeypatch.setattr("qoqdata.publication.release.boxes_to_blank", lambda _: made.boxes)
    made.decide(made.ids[LESS][0])
    yield made
    fsspec.filesystem("memory").rm("/changing", recursive=True)


def test_they_come_once_before_they_are_sent(changing: Set, tmp_path: Path) -> None:
    """And what is sent, with its metadata, is the release of the folder."""
    qoqdata.publish(changing.root, to=tmp_path / "a")
    assert changing.came_first(tmp_path / "b") == SHARDS
    assert changing.came_first(tmp_path / "b") == set()
    qoqdata.publish(URL, to=tmp_path / "b")
    assert tree(tmp_path / "a") == tree(tmp_path / "b")
    rows = open_dataset(tmp_path / "b").records.select("id", "provenance").collect()
    notes = {row["id"]: row["provenance"]["notes"] for row in rows.to_dicts()}
    assert set(notes).isdisjoint([*changing.ids[GONE], changing.ids[LESS][0]])
    assert blanking.BLANKED in notes[changing.ids[BLACK][0]]


def test_what_was_done_before_a_kill_stays_done(
    changing: Set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rewrite = leaving_shards.rewrite_shard
    made: list[str] = []

    def killed(source: Path, target: Path, *rest: Any) -> Shard | None:
        if made:
            raise KeyboardInterrupt
        made.append(f"{target.parent.name}/{target.name}")
        return rewrite(source, target, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(leaving_shards, "rewrite_shard", killed)
        interrupted(URL, tmp_path / "out")
    assert changing.came_first(tmp_path / "out") == SHARDS - set(made)


def other_row(changing: Set, _: pytest.MonkeyPatch) -> None:
    changing.decide(changing.ids[LESS][1])


def other_box(changing: Set, _: pytest.MonkeyPatch) -> None:
    changing.decide(changing.ids[LESS][0], width=9)


def other_code(_: Set, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving_changes, "_made_by", lambda: "other code")


def forged(changing: Set, _: pytest.MonkeyPatch) -> None:
    """Somebody without the salt says that nothing is left of a shard."""
    (path,) = (changing.cache / "searched").glob("*/*")
    lines = path.read_bytes().split(b"\n")
    texts = [line[:66] + b"null" if b"/ptb_xl/test-" in line else line for line in lines]
    assert texts != lines
    path.write_bytes(b"\n".join(texts))


@pytest.mark.parametrize(
    ("change", "again"),
    [
        (other_row, {LESS}),
        (other_box, {BLACK}),
        (other_code, SHARDS),
        (forged, {LESS}),
    ],
)
def test_what_it_was_made_by_changes(
    changing: Set,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Set, pytest.MonkeyPatch], None],
    again: set[str],
) -> None:
    """Only what another decision is about is made again; by other code, all is."""
    assert changing.came_first(tmp_path / "out") == SHARDS
    change(changing, monkeypatch)
    assert changing.came_first(tmp_path / "out") == again
    assert changing.came_first(tmp_path / "out") == set()


def test_one_that_is_made_otherwise_is_not_sent(
    changing: Set, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does its receipt stand in the way of the next publication."""
    interrupted(URL, tmp_path / "out")
    rewrite = passing_shards.rewrite_shard

    def another(
        source: Path, target: Path, shard: Shard, change: Callable[[pa.Table], pa.Table]
    ) -> Shard | None:
        return rewrite(source, target, shard, lambda table: change(table).slice(1))

    with monkeypatch.context() as patch:
        patch.setattr(passing_shards, "rewrite_shard", another)
        with pytest.raises(DatasetError, match="is not what was searched"):
            qoqdata.publish(URL, to=tmp_path / "out")
    assert changing.came_first(tmp_path / "out") == SHARDS


def test_a_change_says_what_it_depends_on(mixed: Dataset) -> None:
    """Corners and images of a record, in their order, and the shard as it is."""
    shard, other = mixed.manifest.shards[:2]
    boxes = [{"r": {0: [(0, 0, 8, 8)]}}, {"r": {1: [(0, 0, 8, 8)]}}, {"s": {0: [(0, 0, 8, 8)]}}]
    changes = [Change((), {}), Change(("r",), {}), *(Change((), one) for one in boxes)]
    digests = {change.of(one) for change in changes for one in (shard, other)}
    digests.add(changes[0].of(shard.model_copy(update={"sha256": "0" * 64})))
    assert len(digests) == 2 * len(changes) + 1


def test_receipts_of_what_became_of_a_shard(mixed: Dataset, tmp_path: Path) -> None:
    shard = mixed.manifest.shards[0]
    receipts = Searched(tmp_path / "a", SALT, "set")
    receipts.note_became("a", shard)
    receipts.note_became("b", None)
    again = Searched(tmp_path / "a", SALT, "set")
    assert (again.became("a"), again.became("b"), again.became("c")) == ((shard,), (None,), None)
    # What is not made the same twice is known no more, and nothing else of that time is.
    again.note_became("a", None)
    later = Searched(tmp_path / "a", SALT, "set")
    assert (later.became("a"), later.became("b")) == ((None,), None)
    # A crash in the middle of a line.
    (path,) = (tmp_path / "a").iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    assert Searched(tmp_path / "a", SALT, "set").became("a") is None
