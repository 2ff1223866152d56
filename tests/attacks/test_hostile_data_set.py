"""A data set from anyone: what its manifest, recipes and links may not do to who reads it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from qoqdata.dataset import open_dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.pipeline.config import BuildConfig, BuildSetting
from qoqdata.publication.rebuild import rebuild
from tests.attacks.hostile_sets import ELSEWHERE, change, everything, rebuilt

OUTSIDE = (
    "/etc/passwd",
    "../../outside.parquet",
    "data/../../outside.parquet",
    "data/ham10000/../../../outside.parquet",
    "data/ham10000/deeper/train-00000.parquet",
    "data/lc25000/train-00000.parquet",
    "data/ham10000/train 0.parquet",
    "data\\ham10000\\train-00000.parquet",
    "data/ham10000/train-00000.parquet\n",
    "",
)


SLUGS_OUTSIDE = ("../ham10000", "/tmp/ham10000", ".", "Ham", "a/b", "ham10000\n", "")


@pytest.mark.parametrize("path", OUTSIDE)
def test_a_shard_lies_in_the_folder_of_its_source(release: Path, path: str) -> None:
    change(release / "manifest.json", lambda own: own["shards"][0].update(path=path))
    with pytest.raises(DatasetError, match=r"manifest.json.*is not a manifest: shards\.0"):
        open_dataset(release)


@pytest.mark.parametrize("slug", SLUGS_OUTSIDE)
@pytest.mark.parametrize("field", ["sources", "meta", "recipes"])
def test_a_source_is_named_by_a_slug(release: Path, field: str, slug: str) -> None:
    def rename(own: dict[str, Any]) -> None:
        if field == "recipes":
            own["release"]["recipes"] = [slug]
        else:
            own[field][slug] = own[field].pop("ham10000")

    change(release / "manifest.json", rename)
    with pytest.raises(DatasetError, match=f"is not a manifest: .*{field}"):
        open_dataset(release)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"source": "../../lc25000"}, "is not a whole recipe"),
        ({"source": "ham10000"}, "another source than lc25000"),
        ({"shards": 0, "path": "../../../planted.parquet"}, "is not a whole recipe"),
        ({"shards": 0, "path": "/planted.parquet"}, "is not a whole recipe"),
        ({"shards": 0, "path": "data/ham10000/a.parquet"}, "is not a whole recipe"),
        ({"shards": 0, "path": "data/lc25000/other.parquet"}, "shards that it does not list"),
    ],
)
def test_a_recipe_writes_nothing_outside(
    release: Path, tmp_path: Path, changes: dict[str, Any], what: str
) -> None:
    def plant(own: dict[str, Any]) -> None:
        own["shards"][0]["path"] = changes["path"]

    how = plant if "path" in changes else lambda own: own.update(changes)
    change(release / "recipes" / "lc25000.json", how)
    before = everything(tmp_path)
    with pytest.raises(DatasetError, match=what):
        rebuilt(release, tmp_path / "out")
    assert everything(tmp_path) == before


def test_a_recipe_of_a_source_that_came_with_pixels(release: Path, tmp_path: Path) -> None:
    for suffix in (".json", ".parquet"):
        path = (release / "recipes" / "lc25000").with_suffix(suffix)
        path.rename(path.with_stem("ham10000"))
    change(release / "recipes" / "ham10000.json", lambda own: own.update(source="ham10000"))
    with pytest.raises(DatasetError, match="is not a whole recipe"):
        rebuilt(release, tmp_path / "out")


def test_a_rebuild_of_a_source_that_has_no_recipe(release: Path, tmp_path: Path) -> None:
    raw = {"brset": tmp_path}
    with pytest.raises(UsageError, match=r"no recipe of brset.*recipes of: lc25000$"):
        rebuild(open_dataset(release), raw, tmp_path / "out", ELSEWHERE)
    for path in (release / "recipes").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match=r"no recipe of brset.*recipes of: no source$"):
        rebuild(open_dataset(release), raw, tmp_path / "out", ELSEWHERE)


@pytest.mark.parametrize(
    ("namespace", "splits", "wanted"),
    [
        ("shared", "hash", {"shared": "hash"}),
        ("shared", "0" * 64, {}),
        (None, "hash", {}),
        (None, None, {}),
    ],
)
def test_a_rebuild_hashes_the_patients_that_the_release_hashed(
    release: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    namespace: str | None,
    splits: str | None,
    wanted: dict[str, str],
) -> None:
    class Asked(Exception):
        pass

    def stop(_requests: object, _out: Path, _setting: BuildSetting, config: BuildConfig) -> None:
        raise Asked(config.patient_splits)

    def name(own: dict[str, Any]) -> None:
        own["entry"] |= {"namespace": namespace, "patient_splits": splits}

    change(release / "recipes" / "lc25000.json", name)
    monkeypatch.setattr("qoqdata.publication.rebuild.build_requests", stop)
    with pytest.raises(Asked) as asked:
        rebuilt(release, tmp_path / "out")
    assert asked.value.args[0] == wanted


@pytest.mark.parametrize(
    "name", ["cards/lc25000.json", "cards/ham10000.json", "data/ham10000/train-00000.parquet"]
)
def test_nothing_is_copied_that_differs_from_its_digest(
    release: Path, tmp_path: Path, name: str
) -> None:
    path = release / name
    if path.suffix == ".json":
        change(path, lambda own: own.update(summary="Another one."))
    else:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(bytes(content))
    with pytest.raises(DatasetError, match=rf"{name}.*(digest|recipe).*Fix: "):
        rebuilt(release, tmp_path / "out")
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert not (tmp_path / "out" / name).exists()


@pytest.mark.parametrize(
    "name", ["cards/ham10000.json", "data/ham10000/train-00000.parquet", "data"]
)
def test_a_link_that_leaves_the_data_set(release: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    (release / name).rename(elsewhere)
    (release / name).symlink_to(elsewhere)
    with pytest.raises(DatasetError, match=f"{name}.*link that leaves the data set.*Fix: "):
        open_dataset(release)


def test_links_of_the_hugging_face_cache_are_followed(release: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "datasets--a--b" / "snapshots" / "0123"
    snapshot.parent.mkdir(parents=True)
    shutil.move(release, snapshot)
    blob = tmp_path / "datasets--a--b" / "blobs" / "abc"
    blob.parent.mkdir()
    shard = snapshot / "data" / "ham10000" / "train-00000.parquet"
    shard.rename(blob)
    shard.symlink_to(os.path.relpath(blob, shard.parent))
    assert open_dataset(snapshot).records.select("id").collect().height > 0
    # The blobs of another data set are none of its own.
    other = tmp_path / "datasets--c--d" / "blobs" / "abc"
    other.parent.mkdir(parents=True)
    blob.rename(other)
    shard.unlink()
    shard.symlink_to(os.path.relpath(other, shard.parent))
    with pytest.raises(DatasetError, match="leaves the data set"):
        open_dataset(snapshot)


def test_links_to_nothing_and_what_a_build_keeps_for_itself(whole: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    (root / "notes").symlink_to("nothing")
    os.mkfifo(root / ".build" / "pipe")
    (root / ".build" / "elsewhere").symlink_to("/etc/passwd")
    assert len(open_dataset(root))
    # The same names anywhere else are no one's own.
    os.mkfifo(root / "data" / "pipe")
    with pytest.raises(DatasetError, match=r"data/pipe.*neither a file nor a folder"):
        open_dataset(root)
    (root / "data" / "pipe").unlink()
    shutil.rmtree(root / ".build")
    os.mkfifo(root / ".build")
    with pytest.raises(DatasetError, match=r"build.*neither a file nor a folder"):
        open_dataset(root)


def test_a_shard_that_is_gone_is_told(whole: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(whole, tmp_path / "set"))
    (root / "data" / "ham10000" / "train-00000.parquet").unlink()
    with pytest.raises(DatasetError, match=r"train-00000.parquet: cannot be read: No such file"):
        open_dataset(root).records.collect()


@pytest.mark.parametrize("name", ["cards/ham10000.json", "data/ham10000/train-00000.parquet"])
def test_a_pipe_is_not_opened(release: Path, name: str) -> None:
    (release / name).unlink()
    os.mkfifo(release / name)
    with pytest.raises(DatasetError, match=f"{name}.*neither a file nor a folder"):
        open_dataset(release)
