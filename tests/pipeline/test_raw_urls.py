"""Builds from raw files behind URLs: the same set as from their folder, whatever the store does."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import polars as pl
import pytest

import qoqdata
from qoqdata.contract.manifest import Manifest
from qoqdata.errors import BadTable, MissingFile, UnfinishedBuild, UnreadableFile, UsageError
from qoqdata.remote import faults
from qoqdata.sources import catalogue, raw_store
from qoqdata.sources.plan_reads import PlanReads
from qoqdata.sources.raw_store import STAGED_VARIABLE, RawStore, open_store
from qoqdata.sources.rawtree import open_raw
from tests.remote import proxy
from tests.remote.servers import Site, serving


def simulated_slugs() -> list[str]:
    """Sources that simulate, and that are built without a user's mapping."""
    sources = map(catalogue.find_source, sorted(qoqdata.cards()))
    return [one.card.slug for one in sources if one.simulate and not one.configure]


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache of the test, and no waits before further attempts."""
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(faults, "WAITS", (0.0, 0.0))


@pytest.fixture(scope="module")
def salt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("salt") / "salt"
    path.write_text("ab" * 32)
    return path


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    qoqdata.simulate("ham10000", n=8, out=tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def bucket() -> Iterator[str]:
    """The URL of an empty store in memory."""
    system = fsspec.filesystem("memory")
    yield "memory://bucket/raw"
    if system.exists("/bucket"):
        system.rm("/bucket", recursive=True)


def put(raw: Path, url: str) -> None:
    system, inside = fsspec.core.url_to_fs(url)
    system.put(f"{raw}/", f"{inside}/", recursive=True)


def inventory(raw: Path, path: Path) -> Path:
    files = [one for one in raw.rglob("*") if one.is_file()]
    rows = [(one.relative_to(raw).as_posix(), one.stat().st_size) for one in files]
    pl.DataFrame(rows, schema=["path", "size"], orient="row").write_csv(path)
    return path


def build(slug: str, raw: Any, out: Path, salt: Path, **more: Any) -> Manifest:
    source = {"source": slug, "raw": raw} | more.pop("source", {})
    more = {"workers": 0} | more
    return qoqdata.build(config={"sources": [source]}, out=out, salt_file=salt, **more)


def test_the_set_is_that_of_the_folder(tmp_path: Path, bucket: str, salt: Path) -> None:
    same_from_both("slake", tmp_path, bucket, salt)


@pytest.mark.slow
@pytest.mark.parametrize("slug", simulated_slugs())
def test_every_source_reads_from_urls(slug: str, tmp_path: Path, bucket: str, salt: Path) -> None:
    same_from_both(slug, tmp_path, bucket, salt)


def same_from_both(slug: str, tmp_path: Path, bucket: str, salt: Path) -> None:
    qoqdata.simulate(slug, n=12, out=tmp_path / "raw", quirks=True)
    put(tmp_path / "raw", bucket)
    local = build(slug, tmp_path / "raw", tmp_path / "local", salt)
    remote = build(slug, bucket, tmp_path / "remote", salt)
    entry = local.sources[slug]
    assert entry.refused is None and entry.counts.records
    assert remote.digest == local.digest and remote.sources[slug].counts == entry.counts
    tables = [tmp_path / name / f"quarantine/{slug}.parquet" for name in ("local", "remote")]
    assert tables[0].exists() == tables[1].exists()
    if tables[0].exists():
        assert pl.read_parquet(tables[0]).equals(pl.read_parquet(tables[1]))


def test_nothing_stays_and_nothing_is_fetched_again(
    raw: Path, tmp_path: Path, bucket: str, salt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(raw, bucket)
    first = build("ham10000", bucket, tmp_path / "set", salt)
    (store,) = (tmp_path / "cache" / "raw").iterdir()
    assert all(not path.stat().st_size for path in store.joinpath("mirror").rglob("*.jpg"))
    assert store.stat().st_mode & 0o077 == 0
    brought: list[str] = []
    bring = RawStore.bring
    monkeypatch.setattr(
        RawStore, "bring", lambda self, name: brought.append(name) or bring(self, name)
    )
    assert build("ham10000", bucket, tmp_path / "set", salt) == first
    # The table is planned from again; images of shards that hold are not asked for.
    assert brought and not [name for name in brought if name.endswith(".jpg")]


def test_what_changes_in_the_store_is_built_again(
    raw: Path, tmp_path: Path, bucket: str, salt: Path
) -> None:
    put(raw, bucket)
    before = build("ham10000", bucket, tmp_path / "set", salt)
    images = sorted(raw.rglob("*.jpg"))
    shutil.copy(images[0], images[1])
    images[2].unlink()
    fsspec.filesystem("memory").rm("/bucket", recursive=True)
    put(raw, bucket)
    after = build("ham10000", bucket, tmp_path / "set", salt)
    assert after.digest == build("ham10000", raw, tmp_path / "local", salt).digest
    assert after.digest != before.digest
    assert after.sources["ham10000"].counts.quarantined == 1


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_faults_of_the_store_pass(raw: Path, tmp_path: Path, salt: Path, workers: int) -> None:
    """Throttled, cut and reset: the same set comes of it, also from processes of its own."""
    local = build("ham10000", raw, tmp_path / "local", salt)
    images = sorted(path.relative_to(raw).as_posix() for path in raw.rglob("*.jpg"))
    kinds = ("500", "429", "cut", "reset")
    with serving(Site(raw)) as site:
        site.faults = {path: [kind] for path, kind in zip(images, kinds, strict=False)}
        listed = {"inventory": inventory(raw, tmp_path / "files.csv")}
        remote = build("ham10000", site.url, tmp_path / "set", salt, source=listed, workers=workers)
        assert not any(site.faults.values())
    assert remote.digest == local.digest


@pytest.mark.parametrize(("fault", "what"), [("503", "503"), ("403", "access is denied")])
def test_a_store_out_of_reach_leaves_the_build_unfinished(
    raw: Path, tmp_path: Path, salt: Path, fault: str, what: str
) -> None:
    """No image is quarantined for it, and the same command goes on from there."""
    image = min(path.relative_to(raw).as_posix() for path in raw.rglob("*.jpg"))
    listed = {"inventory": inventory(raw, tmp_path / "files.csv")}
    with serving(Site(raw)) as site:
        site.forever = {image: fault}
        with pytest.raises(UnfinishedBuild, match=what):
            build("ham10000", site.url, tmp_path / "set", salt, source=listed)
        site.forever = {}
        remote = build("ham10000", site.url, tmp_path / "set", salt, source=listed)
    assert remote.sources["ham10000"].counts.quarantined == 0
    assert remote.digest == build("ham10000", raw, tmp_path / "local", salt).digest


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("fault", "what"), [("503", "503"), ("403", "access is denied")])
def test_a_store_out_of_reach_while_planning(
    raw: Path,
    tmp_path: Path,
    salt: Path,
    fault: str,
    what: str,
    workers: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The source is not refused, nothing that was built goes, and the same command goes on."""
    monkeypatch.setattr(raw_store, "PLANNING_WAITS", (0.0,))
    fault, what = ("403", "access is denied") if workers else (fault, what)
    listed = {"inventory": inventory(raw, tmp_path / "files.csv")}
    out = tmp_path / "set"
    asked: dict[str, Any] = {"source": listed, "workers": workers}
    with serving(Site(raw)) as site:
        before = build("ham10000", site.url, out, salt, **asked)
        shards = {path: path.read_bytes() for path in (out / "data").rglob("*.parquet")}
        site.forever = {"HAM10000_metadata.csv": fault}
        with pytest.raises(UnfinishedBuild, match=f"ham10000/plan .*HAM10000_metadata.*{what}"):
            build("ham10000", site.url, out, salt, **asked)
        assert {path: path.read_bytes() for path in shards} == shards
        config = {"sources": [{"source": "ham10000", "raw": site.url, **listed}]}
        # It plans in a process of its own, which waits as users do for what may pass.
        site.forever = {"HAM10000_metadata.csv": "403"}
        with pytest.raises(UnfinishedBuild, match="the same command goes on"):
            qoqdata.plan(config=config, out=out, salt_file=salt)
        site.forever, site.gets = {}, Counter()
        assert build("ham10000", site.url, out, salt, **asked) == before
        assert not [path for path in site.gets if path.endswith(".jpg")]


def tagged(raw: Path, path: Path, **tags: str) -> dict[str, Path]:
    """An inventory that tells one content of a file from another."""
    table = pl.read_csv(inventory(raw, path))
    etags = [tags.get(Path(name).stem, "1") for name in table["path"]]
    table.with_columns(etag=pl.Series(etags)).write_csv(path)
    return {"inventory": path}


def test_what_a_plan_had_read_is_not_read_again(tmp_path: Path, salt: Path) -> None:
    """Tables and headers of one that was given up; but for what changed since."""
    raw, out = tmp_path / "raw", tmp_path / "set"
    qoqdata.simulate("lidc", n=3, out=raw)
    last = max(path.relative_to(raw).as_posix() for path in raw.rglob("1-001.dcm"))
    first = min(path.relative_to(raw).as_posix() for path in raw.rglob("1-001.dcm"))

    def plan(url: str, **tags: str) -> Any:
        listed = tagged(raw, tmp_path / "files.csv", **tags)
        config = {"sources": [{"source": "lidc", "raw": url, **listed}]}
        return qoqdata.plan(config=config, out=out, salt_file=salt)

    kept = tmp_path / "cache" / "raw"
    with serving(Site(raw)) as site:
        site.forever = {last: "403"}
        with pytest.raises(UnfinishedBuild, match=f"lidc/plan .*{last}"):
            plan(site.url)
        read = {path for path in site.gets if path != last}
        assert {first, "metadata.csv"} < read and any(path.endswith(".xml") for path in read)
        assert {path.stat().st_mode & 0o077 for path in kept.glob("*/planned")} == {0}
        site.gets = Counter()
        with pytest.raises(UnfinishedBuild):
            plan(site.url, metadata="2")
        assert set(site.gets) == {"metadata.csv", last}
        # What the disk lost of it is asked for again.
        for path in kept.glob("*/planned/*"):
            content = path.read_bytes()
            if content[32:] == (raw / first).read_bytes()[: len(content) - 32]:
                path.write_bytes(content[:-1])
        site.forever, site.gets = {}, Counter()
        (made,) = plan(site.url, metadata="2")
        assert set(site.gets) == {first, last}
        assert made.units == 3 and made.refusal is None
        assert not list(kept.glob("*/planned"))
        site.gets = Counter()
        plan(site.url, metadata="2")
        assert set(site.gets) == {*read, last}
        qoqdata.build(out=out, part="1/1", workers=0, salt_file=salt)
        remote = qoqdata.finish(out, salt_file=salt)
    assert remote.digest == build("lidc", raw, tmp_path / "local", salt).digest


def test_what_nobody_could_tell_from_another_is_read_again(tmp_path: Path, salt: Path) -> None:
    """An inventory without tags or times."""
    raw = tmp_path / "raw"
    qoqdata.simulate("lidc", n=2, out=raw)
    last = max(path.relative_to(raw).as_posix() for path in raw.rglob("1-001.dcm"))
    listed = {"inventory": inventory(raw, tmp_path / "files.csv")}
    with serving(Site(raw)) as site:
        site.forever = {last: "403"}
        config = {"sources": [{"source": "lidc", "raw": site.url, **listed}]}
        asked = []
        for _ in range(2):
            with pytest.raises(UnfinishedBuild):
                qoqdata.plan(config=config, out=tmp_path / "set", salt_file=salt)
            asked.append(set(site.gets))
            site.gets = Counter()
    assert asked[0] == asked[1] and "metadata.csv" in asked[0]


def test_room_for_what_plans_read(tmp_path: Path) -> None:
    """What is more is asked for each time, and what a process before had kept counts."""
    asked: list[int] = []

    def ask() -> bytes:
        asked.append(1)
        return b"x" * 68

    reads = PlanReads(tmp_path / "planned", 250)
    for begin in (0, 100, 200, 0, 100, 200):
        assert reads.content("a", 7, begin, begin + 68, ask) == b"x" * 68
    assert len(asked) == 4
    later = PlanReads(tmp_path / "planned", 250)
    later.content("b", 7, 0, 68, ask)
    later.content("a", 7, 100, 168, ask)
    assert len(asked) == 5 and len(list((tmp_path / "planned").iterdir())) == 2
    later.content("a", 8, 100, 168, ask)
    assert len(asked) == 6
    later.clear()
    later.clear()


@pytest.mark.parametrize(("size", "reason"), [(None, "missing_file"), (3, "unreadable_file")])
def test_what_is_not_as_it_was_listed_is_quarantined(
    raw: Path, tmp_path: Path, salt: Path, size: int | None, reason: str
) -> None:
    listed = {"inventory": inventory(raw, tmp_path / "files.csv")}
    image = min(raw.rglob("*.jpg"))
    image.unlink() if size is None else image.write_bytes(image.read_bytes() + b"new")
    with serving(Site(raw)) as site:
        result = build("ham10000", site.url, tmp_path / "set", salt, source=listed)
    assert result.sources["ham10000"].counts.quarantined == 1
    rows = pl.read_parquet(tmp_path / "set/quarantine/ham10000.parquet")
    assert rows["reason"].to_list() == [reason]


def test_disk_is_bounded(tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    system = fsspec.filesystem("memory")
    for number in range(20):
        system.pipe(f"/bucket/raw/folder/{number:02d}.bin", bytes([number]) * 1000)
    monkeypatch.setenv(STAGED_VARIABLE, "3500")
    raw = open_raw(bucket)
    store = raw.store
    assert store is not None
    for name in raw.files("*.bin"):
        assert raw.read_bytes(name) == bytes([int(name[-6:-4])]) * 1000
        assert sum(one.stat().st_size for one in store.stage.rglob("*.bin")) <= 3500
    unit = raw.files("*.bin")[:6]
    with raw.holding(unit):
        # A unit that is larger than the bound stays whole while it is read.
        assert all((store.stage / name).stat().st_size == 1000 for name in unit)
        assert raw.read_bytes(unit[0]) == bytes(1000)
    assert sum(one.stat().st_size for one in store.stage.rglob("*.bin")) <= 3500
    with raw.holding([]):
        # What a converter asks for beside its unit's files stays until its end, too.
        paths = [raw.resolve(name) for name in raw.files("*.bin")]
        assert all(path.stat().st_size == 1000 for path in paths)
    assert raw.resolve("folder") == store.stage / "folder"
    assert len(list((store.stage / "folder").iterdir())) == 20


def test_locks_do_not_grow_with_the_store(bucket: str) -> None:
    """Of 36 million files, a lock each would be gigabytes in every worker."""
    system = fsspec.filesystem("memory")
    system.pipe("/bucket/raw/a.bin", b"a")
    store = open_raw(bucket).store
    assert store is not None
    locks = {id(store._guard(f"folder/{number}.dcm")) for number in range(10_000)}
    assert 100 < len(locks) < 1000
    assert store._guard("a.bin") is store._guard("a.bin")


def test_what_was_not_brought_looks_empty(bucket: str) -> None:
    """So that no reader takes the mirror for the files."""
    fsspec.filesystem("memory").pipe("/bucket/raw/a.csv", b"a,b\n1,2\n")
    raw = open_raw(bucket)
    assert raw.locate("a.csv").read_bytes() == b""
    assert raw.csv("a.csv", columns=["a"]).rows() == [("1", "2")]


@pytest.mark.parametrize(
    "names", [["../a"], ["a//b"], ["a", "a/b"], ["a/./b"], ["a\0"], ["x" * 300]]
)
def test_names_that_no_folder_holds_are_refused(names: list[str], tmp_path: Path) -> None:
    path = tmp_path / "files.parquet"
    pl.DataFrame({"path": names, "size": [1] * len(names)}).write_parquet(path)
    with pytest.raises(UsageError):
        open_store("memory://bucket/raw", path)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize(
    "table",
    [
        {"path": ["a"]},
        {"path": ["a", "a"], "size": [1, 1]},
        {"path": ["a"], "size": [-1]},
        {"path": ["a"], "size": [1.5]},
        {"path": [None], "size": [1]},
        {"path": ["a"], "size": [None]},
    ],
)
def test_inventories_that_are_none(table: dict[str, list], tmp_path: Path) -> None:
    path = tmp_path / "files.parquet"
    pl.DataFrame(table).write_parquet(path)
    with pytest.raises(BadTable):
        open_store("memory://bucket/raw", path)


@pytest.mark.slow
def test_from_s3(raw: Path, tmp_path: Path, salt: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An S3-compatible server on loopback, named as users name theirs."""
    with proxy.bucket("raw-bucket", monkeypatch):
        put(raw, "s3://raw-bucket/ham")
        remote = build("ham10000", "s3://raw-bucket/ham", tmp_path / "set", salt, workers=2)
        again = build("ham10000", "s3://raw-bucket/ham", tmp_path / "set", salt, workers=0)
    assert again == remote
    assert remote.digest == build("ham10000", raw, tmp_path / "local", salt).digest


@pytest.mark.slow
def test_planning_from_s3(
    raw: Path, tmp_path: Path, salt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Throttled longer than the client itself is patient, then with credentials that end."""
    monkeypatch.setattr(raw_store, "PLANNING_WAITS", (0.0, 0.0))
    asked: Counter[str] = Counter()
    most, kind = 7, "throttled"

    def fault(method: str, path: str) -> str | None:
        asked[path] += 1
        return kind if path.endswith("metadata.csv") and asked[path] <= most else None

    with proxy.bucket("raw-bucket", monkeypatch) as running:
        put(raw, "s3://raw-bucket/ham")
        running.fault = fault
        before = build("ham10000", "s3://raw-bucket/ham", tmp_path / "set", salt)
        assert asked["/raw-bucket/ham/HAM10000_metadata.csv"] == most + 1
        most, kind = 10**6, "expired"
        told = "ham10000/plan .*s3://raw-bucket/ham/HAM10000_metadata.csv: .*has expired"
        with pytest.raises(UnfinishedBuild, match=told):
            build("ham10000", "s3://raw-bucket/ham", tmp_path / "set", salt)
        most = 0
        asked.clear()
        assert build("ham10000", "s3://raw-bucket/ham", tmp_path / "set", salt) == before
        assert not [path for path in asked if path.endswith(".jpg")]


def test_wrong_urls_are_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no file"):
        open_raw("memory://none/at/all")
    with pytest.raises(UsageError, match="cannot be opened"):
        open_raw("nonsense://x")
    with pytest.raises(UsageError, match="an inventory is of a URL"):
        open_raw(tmp_path, inventory=tmp_path / "files.csv")


def test_a_file_that_went_and_one_that_grew(bucket: str) -> None:
    system = fsspec.filesystem("memory")
    system.pipe({"/bucket/raw/a": b"1", "/bucket/raw/b": b"2"})
    raw = open_raw(bucket)
    system.rm("/bucket/raw/a")
    system.pipe("/bucket/raw/b", b"22")
    with pytest.raises(MissingFile, match="no longer in the store"):
        raw.resolve("a")
    with pytest.raises(UnreadableFile, match="was listed with 1"):
        raw.resolve("b")
    assert open_raw(bucket).files() == ["b"]
