"""A publication that goes on searches nothing again, and sends nothing that was not searched."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata import manifest as manifests
from qoqdata.atomic import file_digest
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError
from qoqdata.publication import privacy, searched
from qoqdata.records.identity import Salt
from qoqdata.remote.store import StoreFolder
from qoqdata.suite.examples import SALT
from tests.publication.test_from_bucket import send

URL = "memory://searched/mixed"
pytestmark = pytest.mark.usefixtures("salt_and_cache")


@pytest.fixture
def folder(mixed: Dataset, tmp_path: Path) -> Path:
    return Path(shutil.copytree(mixed.root, tmp_path / "folder" / "mixed"))


@pytest.fixture
def looked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files whose texts were searched."""
    names: list[str] = []
    texts_of = privacy.texts_of

    def noted(path: Path, *, raw_paths: bool) -> Iterator[list[str]]:
        names.append(path.name)
        yield from texts_of(path, raw_paths=raw_paths)

    monkeypatch.setattr(privacy, "texts_of", noted)
    return names


def parted(prepared: object) -> None:
    raise KeyboardInterrupt


def interrupted(where: Path | str, to: Path) -> None:
    """A publication that searched all, and sent nothing."""
    with pytest.raises(KeyboardInterrupt):
        qoqdata.publish(where, to=to, on_prepared=parted)


def planted(root: Path, text: str) -> str:
    """Have a text in the last train shard of ham10000, and the manifest say so; its name."""
    dataset = open_dataset(root)
    shard = next(s for s in dataset.manifest.shards if s.path.startswith("data/ham10000/train"))
    path = root / shard.path
    table = pq.read_table(path)
    column = table.schema.get_field_index("question")
    texts = pa.array([text] * table.num_rows, table.schema.field(column).type)
    pq.write_table(table.set_column(column, table.schema.field(column), texts), path)
    other = shard.model_copy(update={"sha256": file_digest(path), "bytes": path.stat().st_size})
    shards = tuple(other if one == shard else one for one in dataset.manifest.shards)
    manifests.write_manifest(
        dataset.layout,
        dataset.manifest.model_copy(
            update={"shards": shards, "digest": manifests.shards_digest(shards)}
        ),
    )
    return shard.path


def test_of_a_folder(folder: Path, tmp_path: Path, looked: list[str]) -> None:
    interrupted(folder, tmp_path / "out")
    first = list(looked)
    assert {"train-00000.parquet", "manifest.json", "README.md"} <= set(first)
    looked.clear()
    assert qoqdata.publish(folder, to=tmp_path / "out").delivery is not None
    assert looked == []
    # The same release as of one that was never interrupted.
    shutil.rmtree(folder / ".build" / "searched")
    looked.clear()
    qoqdata.publish(folder, to=tmp_path / "other")
    assert sorted(looked) == sorted(first)
    for path in (tmp_path / "out").rglob("*.*"):
        other = tmp_path / "other" / path.relative_to(tmp_path / "out")
        assert path.is_dir() or path.read_bytes() == other.read_bytes()


def test_of_a_bucket(
    folder: Path, tmp_path: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor do shards come for the search in which nothing changes: they come to be sent."""
    store = StoreFolder(URL)
    send(folder, store)
    try:
        interrupted(URL, tmp_path / "out")
        # Shards have the names of their contents in the cache.
        shards = {s.sha256 for s in open_dataset(folder).manifest.shards if "ham1" in s.path}
        assert shards and shards <= {name.removesuffix(".parquet") for name in looked}
        looked.clear()
        shutil.rmtree(tmp_path / "cache" / "shards")
        came: list[str] = []
        memory = fsspec.filesystem("memory").__class__
        fetch = memory.get_file

        def noted(self: object, source: str, *args: object, **kwargs: object) -> object:
            came.append(source)
            return fetch(self, source, *args, **kwargs)

        def before(prepared: object) -> None:
            # The page shows records of train.
            assert not [path for path in came if "/data/" in path and "/train-" not in path]

        monkeypatch.setattr(memory, "get_file", noted)
        qoqdata.publish(URL, to=tmp_path / "out", on_prepared=before)
        assert looked == [] and [path for path in came if "/ptb_xl/test-" in path]
    finally:
        fsspec.filesystem("memory").rm("/searched", recursive=True)


def test_a_search_that_broke_off_goes_on(
    folder: Path, tmp_path: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    texts_of = privacy.texts_of

    def killed(path: Path, *, raw_paths: bool) -> Iterator[list[str]]:
        if len(looked) == 3:
            raise KeyboardInterrupt
        yield from texts_of(path, raw_paths=raw_paths)

    with monkeypatch.context() as patch:
        patch.setattr(privacy, "texts_of", killed)
        interrupted(folder, tmp_path / "out")
    receipts = next((folder / ".build" / "searched").iterdir())
    # The end of the last line did not reach the disk.
    receipts.write_bytes(receipts.read_bytes()[:-5])
    looked.clear()
    interrupted(folder, tmp_path / "out")
    continued = len(looked)
    shutil.rmtree(folder / ".build" / "searched")
    looked.clear()
    interrupted(folder, tmp_path / "out")
    assert continued == len(looked) - 2


@pytest.mark.parametrize("through", ["manifest", "bytes"])
def test_another_shard(folder: Path, tmp_path: Path, looked: list[str], through: str) -> None:
    """One that the manifest tells of is searched; one that it does not is damage."""
    interrupted(folder, tmp_path / "out")
    before = (folder / "manifest.json").read_bytes()
    name = planted(folder, SALT.secret.hex())
    if through == "bytes":
        (folder / "manifest.json").write_bytes(before)
    shutil.rmtree(folder / ".build" / "release")
    if through == "manifest":
        # As whoever wrote the shard would have it.
        shutil.rmtree(folder / "curation")
        qoqdata.curate(folder)
    # The page quotes the record.
    told = (
        "the site's salt is in README.md, and 1 more"
        if through == "manifest"
        else "differs from its digest"
    )
    looked.clear()
    with pytest.raises(DatasetError, match=told) as error:
        qoqdata.publish(folder, to=tmp_path / "out")
    assert through == "manifest" or name in str(error.value)
    assert not (tmp_path / "out").exists()


def bound_elsewhere(folder: Path, receipts: Path) -> None:
    """A receipt that somebody without the salt made: of the same file, and by the same code."""
    sha256 = file_digest(folder / ".build/release/README.md")
    own = searched.Searched(folder / "forged", Salt(b"0" * 32), "x")
    own._bound = receipts.name
    own._path = receipts
    own.note_clean("README.md", sha256)


def test_a_forged_receipt_is_none(folder: Path, tmp_path: Path, looked: list[str]) -> None:
    interrupted(folder, tmp_path / "out")
    receipts = next((folder / ".build" / "searched").iterdir())
    size, count = receipts.stat().st_size, len(looked)
    content = receipts.read_bytes()
    swapped = content.swapcase() if content.swapcase() != content else content[::-1]
    for forged in (b"", swapped, b"\n*\n" + b"0" * 32):
        receipts.write_bytes(forged)
        bound_elsewhere(folder, receipts)
        looked.clear()
        interrupted(folder, tmp_path / "out")
        assert len(looked) == count
        assert receipts.stat().st_size >= size


def test_of_one_file_for_another(tmp_path: Path) -> None:
    receipts = searched.Searched(tmp_path / "a", SALT, "set")
    receipts.note_clean("a.md", "0" * 64)
    again = searched.Searched(tmp_path / "a", SALT, "set")
    assert again.is_clean("a.md", "0" * 64)
    assert not again.is_clean("b.md", "0" * 64) and not again.is_clean("a.md", "1" * 64)
    other = searched.Searched(tmp_path / "a", Salt(b"1" * 32), "set")
    assert not other.is_clean("a.md", "0" * 64)
    assert not searched.Searched(tmp_path / "a", SALT, "other set").is_clean("a.md", "0" * 64)
    # Those of what the set was before are gone.
    assert not searched.Searched(tmp_path / "a", SALT, "set").is_clean("a.md", "0" * 64)


def test_other_keys_or_rules(
    folder: Path, tmp_path: Path, looked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All is searched again for what was not looked for then."""
    interrupted(folder, tmp_path / "out")
    count = len(looked)
    keys, others = (folder / f".build/raw_keys/{slug}.bin" for slug in ("covid_blues", "ptb_xl"))
    assert keys.read_bytes() and keys.read_bytes() != others.read_bytes()
    changes = (
        lambda: keys.write_bytes(others.read_bytes()),
        lambda: monkeypatch.setattr(searched, "code_digest", lambda: "other code"),
        lambda: monkeypatch.setattr(searched, "VERSION", "99.0.0"),
        lambda: monkeypatch.setenv("HOME", "/another/home"),
    )
    for change in changes:
        change()
        looked.clear()
        interrupted(folder, tmp_path / "out")
        assert len(looked) == count
        looked.clear()
        interrupted(folder, tmp_path / "out")
        assert looked == []


def test_another_page(folder: Path, tmp_path: Path) -> None:
    """A file of a name that was clean, with other content, is searched."""
    interrupted(folder, tmp_path / "out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qoqdata.publication.release.changelog", lambda *_: "see /home/ana/films\n")
        with pytest.raises(DatasetError, match=r"an absolute path is in CHANGELOG\.md"):
            qoqdata.publish(folder, to=tmp_path / "out")


def test_a_leak_leaves_no_receipt(folder: Path, tmp_path: Path, looked: list[str]) -> None:
    root = folder / ".build" / "release"

    def written(*_: object) -> str:
        root.mkdir(parents=True, exist_ok=True)
        return "see /home/ana/films\n"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qoqdata.publication.release.changelog", written)
        for _ in range(2):
            with pytest.raises(DatasetError, match=r"an absolute path is in CHANGELOG\.md"):
                qoqdata.publish(folder, to=tmp_path / "out")
    assert looked.count("CHANGELOG.md") == 2 and looked.count("README.md") == 1


def test_what_cannot_be_cleared_away_is_told(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a set that is read-only: the disk's own reason, and not what comes of going on."""
    interrupted(folder, tmp_path / "out")

    def refuses(path: Path, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuses)
    with pytest.raises(OSError, match=r"Read-only file system: .*release"):
        qoqdata.publish(folder, to=tmp_path / "out")
