"""Passes over a set in a bucket: their files are those of a folder, and nobody else's are lost."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

import qoqdata
from qoqdata.atomic import machine
from qoqdata.errors import DatasetError, UsageError
from qoqdata.remote import faults, lease
from qoqdata.remote.store import StoreFolder
from qoqdata.suite.examples import SALT
from tests.api.conftest import rollouts_of
from tests.publication.conftest import build_set, raw_of

URL = "memory://sets/three"
SLUGS = ("ham10000", "lc25000", "covid_blues")
STORE = StoreFolder(URL)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three examples as the build leaves them; lc25000 in several shards."""
    return build_set(tmp_path_factory.mktemp("plain") / "three", *SLUGS, shard_units=4).root


@pytest.fixture
def folder(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "folder" / "three"))


@pytest.fixture(autouse=True)
def bucket(plain: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The set in a store in memory."""
    monkeypatch.setattr(faults, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(lease, "PATIENCE", 0.3)
    monkeypatch.setattr(lease, "_LOOK", 0.05)
    system = fsspec.filesystem("memory")
    for path in plain.rglob("*"):
        if path.is_file():
            system.pipe(f"/sets/three/{path.relative_to(plain).as_posix()}", path.read_bytes())
    yield
    system.rm("/sets", recursive=True)


def in_bucket() -> dict[str, bytes]:
    """All files but the notes of who wrote."""
    paths = [path for path in STORE.listing() if not path.startswith(lease.FOLDER)]
    return {path: STORE.read(path) or b"" for path in paths}


def in_folder(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def passes(where: Any, rollouts: Path) -> None:
    qoqdata.curate(where)
    qoqdata.difficulty(where, rollouts=rollouts, policy="p")
    qoqdata.stats(where, policy="p", prior=True)
    qoqdata.audit(where)
    qoqdata.prove(where)
    ids = qoqdata.open(where).kept().filter(split="train")["id"].sort()
    qoqdata.decide(where, ids[0], False, why="cut off", author="ana")
    qoqdata.comment(where, ids[1], "rotated", author="ben")
    qoqdata.decide(where, ids[1], True, why="fine", author="ben")
    qoqdata.undo(where, author="ben")
    qoqdata.select(where, {"split": "train", "size": 4})
    qoqdata.curate(where, recipe={"quality": {"drop": []}})
    qoqdata.stats(where, policy="p")
    qoqdata.card(where)


@pytest.fixture
def rollouts(plain: Path, tmp_path: Path) -> Path:
    return rollouts_of(plain, tmp_path)


def test_the_files_are_those_of_a_folder(folder: Path, rollouts: Path, tmp_path: Path) -> None:
    passes(folder, rollouts)
    passes(URL, rollouts)
    assert in_bucket() == in_folder(folder)
    # Nothing of it stays on this machine but what the cache keeps.
    assert not list((tmp_path / "cache" / "passes").glob("*/*"))
    opened = qoqdata.open(URL)
    assert opened.stats.digest == qoqdata.open(folder).stats.digest
    assert len(opened) == len(qoqdata.open(folder))


def test_what_is_taken_back_goes(folder: Path) -> None:
    for where in (folder, URL):
        qoqdata.curate(where)
        assert qoqdata.curate(where, recipe={"leakage": {"on_finding": "skip"}}).leaks is None
    assert in_bucket() == in_folder(folder)
    assert STORE.read("curation/leakage.parquet") is None


def test_commands_name_the_url(command: Callable, folder: Path) -> None:
    shown = []
    for where in (folder, URL):
        outs = [
            command(name, where, *more) for name, more in (("stats", ["--prior"]), ("card", ()))
        ]
        assert [code for code, _, _ in outs] == [0, 0]
        shown.append([out.replace(str(where), "SET") for _, out, _ in outs])
    assert shown[0] == shown[1]
    code, _, err = command("stats", URL, "--policy", "nobody")
    assert code == 2 and "/passes/" not in err


def test_strays_are_found_in_a_bucket_too(folder: Path) -> None:
    assert qoqdata.validate(URL) == []
    stray = "data/ham10000/train-99999.parquet"
    STORE.write(stray, b"x")
    (folder / stray).write_bytes(b"x")
    assert qoqdata.validate(URL) == qoqdata.validate(folder) != []


def test_likenesses_that_lack_are_taken_from_shards_and_kept(folder: Path) -> None:
    lost = next(path for path in STORE.listing() if path.startswith("curation/likeness/ham10000"))
    before = STORE.read(lost)
    STORE.remove(lost)
    qoqdata.prove(URL)
    assert STORE.read(lost) == before


def test_disk_holds_no_more_shards_than_it_may(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Curation with every shard to look at, and validation, in a cache of the largest two."""
    shards = qoqdata.open(URL).manifest.shards
    tables = sum(entry.bytes for entry in qoqdata.open(URL).manifest.meta.values())
    room = sum(sorted(shard.bytes for shard in shards)[-2:]) + tables
    assert room < sum(shard.bytes for shard in shards)
    monkeypatch.setenv("QOQDATA_CACHE_BYTES", str(room))
    most: list[int] = []
    fetch = fsspec.filesystem("memory").__class__.get_file

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        made = fetch(self, *args, **kwargs)
        cached = [*tmp_path.glob("cache/shards/*/*"), *tmp_path.glob("cache/meta/*/*")]
        most.append(sum(path.stat().st_size for path in cached if path.is_file()))
        return made

    monkeypatch.setattr(fsspec.filesystem("memory").__class__, "get_file", watched)
    for path in [path for path in STORE.listing() if path.startswith("curation/likeness/")]:
        STORE.remove(path)
        (folder / path).unlink()
    qoqdata.curate(URL, burned_in=True)
    assert qoqdata.validate(URL) == []
    assert 0 < max(most) <= room
    qoqdata.curate(folder, burned_in=True)
    assert in_bucket() == in_folder(folder)


def test_two_passes_at_once(folder: Path) -> None:
    """The one that comes second is told, and the set is as if it had never come."""
    lost: list[str] = []

    def while_it_works(done: int, total: int) -> None:
        if not lost:
            for call in (qoqdata.stats, qoqdata.curate, qoqdata.card):
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(lease, "_is_free", lambda store, path: False)
                    with pytest.raises(UsageError, match="another command is writing") as told:
                        call(URL)
                lost.append(str(told.value))

    qoqdata.curate(URL, progress=while_it_works)
    assert lost and all(text.startswith(f"{URL}: ") for text in lost)
    qoqdata.curate(folder)
    assert in_bucket() == in_folder(folder)


def test_who_was_taken_over_writes_nothing(folder: Path) -> None:
    def take_over(done: int, total: int) -> None:
        STORE.write(f"{lease.FOLDER}/99", b'{"process": "1-1"}')

    before = in_bucket()
    with pytest.raises(DatasetError, match="written by another command meanwhile"):
        qoqdata.curate(URL, progress=take_over)
    assert in_bucket() == before


def test_a_side_file_that_somebody_changed_is_not_lost(folder: Path) -> None:
    """Whoever writes without the lease, as another tool does, is not overwritten."""
    qoqdata.curate(URL)

    def interfere(done: int, total: int) -> None:
        STORE.write("curation/verdicts.parquet", b"somebody else's")

    with pytest.raises(DatasetError, match=r"three/curation/verdicts\.parquet: was written"):
        qoqdata.curate(URL, progress=interfere)
    assert STORE.read("curation/verdicts.parquet") == b"somebody else's"


def test_a_pass_that_fails_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = in_bucket()
    with pytest.raises(UsageError):
        qoqdata.stats(URL, policy="nobody")
    assert in_bucket() == before


@pytest.mark.parametrize(
    "note", [{"machine": "elsewhere"}, {"machine": machine(), "process": "4194305-1"}]
)
def test_a_pass_that_died(folder: Path, note: dict[str, Any]) -> None:
    """Killed before it wrote all: the same command does it again."""
    left = {"process": "1-1", "renewed": 3, **note}
    STORE.write(f"{lease.FOLDER}/7", json.dumps(left).encode())
    qoqdata.curate(folder)
    for name in ("verdicts.parquet", "duplicates.parquet"):
        STORE.write(f"curation/{name}", (folder / "curation" / name).read_bytes())
    qoqdata.curate(URL)
    assert in_bucket() == in_folder(folder)


def test_a_release_is_not_written_into(folder: Path, tmp_path: Path) -> None:
    qoqdata.curate(folder)
    qoqdata.publish(folder, to="memory://sets/releases")
    with pytest.raises(UsageError, match="and this is a release"):
        qoqdata.stats("memory://sets/releases")


def test_a_dry_run_leaves_nothing_here(command: Callable, tmp_path: Path) -> None:
    assert command("curate", URL)[0] in (0, 1)
    code, out, _ = command("publish", URL, "--dry-run")
    assert code == 0 and "dry run: all gates are open; " in out and "/passes/" not in out
    code, out, _ = command("publish", URL, "--dry-run", "--json")
    shown = json.loads(out)
    assert shown["folder"] is None and "data/ham10000/train-00000.parquet" in shown["files"]
    assert not list((tmp_path / "cache" / "passes").glob("*/*"))


def test_the_report_compares_images_too(folder: Path, tmp_path: Path) -> None:
    """The page of the set's folder, byte for byte; nothing is written, and others may write."""
    for where in (folder, URL):
        qoqdata.curate(where)
    before = in_bucket()
    holder = lease.leased(STORE, lease.FOLDER)
    pages = [tmp_path / "folder.html", tmp_path / "bucket.html"]
    qoqdata.report(folder, out=pages[0])
    with holder:
        qoqdata.report(URL, out=pages[1])
    assert pages[0].read_bytes() == pages[1].read_bytes()
    assert b"were not compared" not in pages[1].read_bytes()
    assert in_bucket() == before
    assert not list((tmp_path / "cache" / "passes").glob("*/*"))


def test_a_release_is_compared_by_patient_and_study(folder: Path, tmp_path: Path) -> None:
    """It has nothing that images are recognised by."""
    qoqdata.curate(folder)
    qoqdata.publish(folder, to="memory://sets/released", salt_file=salt_file(tmp_path))
    page = qoqdata.report("memory://sets/released", out=tmp_path / "page.html")
    assert "Images and signals were not compared" in page.read_text()


def salt_file(tmp_path: Path) -> Path:
    path = tmp_path / "salt"
    path.write_text(SALT.secret.hex())
    return path


def test_a_record_is_made_again(folder: Path, tmp_path: Path) -> None:
    """From raw files in a folder and in a bucket; a fault in them shows."""
    salt, raw = salt_file(tmp_path), raw_of("ham10000")
    system = fsspec.filesystem("memory")
    system.put(f"{raw}/", "/sets/raw/", recursive=True)
    first, last = (
        qoqdata.open(URL).metadata(["id", "source"]).filter(source="ham10000")["id"][[0, -1]]
    )
    for where, files in ((URL, raw), (URL, "memory://sets/raw"), (folder, "memory://sets/raw")):
        again = qoqdata.replay(where, first, files, salt_file=salt)
        assert again.same and again.changed == ()
    provenance = qoqdata.why(URL, last).record["provenance"]
    image = next(path for path in provenance["raw"] if path.endswith(".jpg"))
    other = qoqdata.why(URL, first).record["provenance"]["raw"]
    system.copy(
        f"/sets/raw/{next(path for path in other if path.endswith('.jpg'))}", f"/sets/raw/{image}"
    )
    changed = qoqdata.replay(URL, last, "memory://sets/raw", salt_file=salt)
    assert "images" in changed.differ
    with pytest.raises(DatasetError, match=r"memory://sets/raw: .*no unit of the files"):
        system.rm(f"/sets/raw/{image}")
        qoqdata.replay(URL, last, "memory://sets/raw", salt_file=salt)


def test_of_a_release_no_record_is_made_again(folder: Path, tmp_path: Path) -> None:
    qoqdata.curate(folder)
    salt = salt_file(tmp_path)
    qoqdata.publish(folder, to="memory://sets/released", salt_file=salt)
    released = qoqdata.open("memory://sets/released")
    id_ = released.metadata(["id"])["id"][0]
    with pytest.raises(UsageError, match="where the set was built"):
        qoqdata.replay("memory://sets/released", id_, raw_of("ham10000"), salt_file=salt)
