"""Releases in a folder: whole or not there, old ones kept, unchanged contents not sent."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import qoqdata
from qoqdata.dataset import Dataset, open_dataset
from qoqdata.errors import DatasetError, UsageError
from qoqdata.publication.folder import Folder
from qoqdata.publication.release import deliver, prepare
from qoqdata.records.identity import Salt
from qoqdata.suite.examples import SALT
from tests.publication.test_staging import drop


def publish(dataset: Dataset, to: Folder, **changes):
    return deliver(prepare(dataset, to, salt=SALT, **changes), to)


@pytest.fixture
def target(tmp_path: Path) -> Folder:
    return Folder(f"file://{tmp_path}/releases")


@pytest.fixture
def smaller(mixed: Dataset, tmp_path: Path) -> Dataset:
    """The set after curation dropped one record of ptb_xl."""
    shutil.copytree(mixed.root, tmp_path / "smaller")
    dataset = open_dataset(tmp_path / "smaller")
    ids = mixed.metadata().filter(source="ptb_xl")["id"].sort()
    drop(dataset, [ids[0]])
    qoqdata.curate(dataset)
    return dataset


def test_first_and_second_release(mixed: Dataset, smaller: Dataset, target: Folder, tmp_path: Path):
    first = publish(mixed, target)
    assert first.revision == "1.0.0" and first.unchanged == ()
    second = publish(smaller, target)
    assert second.revision == "2.0.0"
    shards = {s.path for s in mixed.manifest.shards if s.source == "ham10000"}
    assert shards <= set(second.unchanged) and "manifest.json" in second.sent
    heights = [
        open_dataset(tmp_path / "releases" / name).metadata().height for name in ("1.0.0", "2.0.0")
    ]
    assert heights[0] - 1 == heights[1] == open_dataset(tmp_path / "releases").metadata().height
    log = (tmp_path / "releases" / "2.0.0" / "CHANGELOG.md").read_text()
    assert log.index("## 2.0.0") < log.index("## 1.0.0")
    assert "- 1 records removed: ptb_xl" in log


def test_a_release_of_schema_1_is_followed_by_a_major_one(
    mixed: Dataset, target: Folder, tmp_path: Path
) -> None:
    publish(mixed, target)
    path = tmp_path / "releases/1.0.0/manifest.json"
    manifest = json.loads(path.read_bytes()) | {"schema_version": 1, "manifest_version": 1}
    path.write_text(json.dumps(manifest))
    with pytest.raises(UsageError, match=r"0\.9\.0 does not come after 1\.0\.0"):
        publish(mixed, target, version="0.9.0")
    assert publish(mixed, target).revision == "2.0.0"
    release = open_dataset(tmp_path / "releases").manifest.release
    assert release is not None and release.previous == manifest["digest"]
    log = (tmp_path / "releases/2.0.0/CHANGELOG.md").read_text()
    assert "## 2.0.0\n\n- another schema version\n\n## 1.0.0" in log


def test_the_same_again_sends_nothing(mixed: Dataset, target: Folder) -> None:
    publish(mixed, target)
    again = publish(mixed, target)
    assert (again.sent, again.revision) == ((), "1.0.0")


def test_readers_see_the_old_release_until_the_new_one_is_whole(
    mixed: Dataset, smaller: Dataset, target: Folder, tmp_path: Path
) -> None:
    publish(mixed, target)
    prepared = prepare(smaller, target, salt=SALT)
    before = mixed.metadata().filter(~(source("covid_blues") | source("lc25000"))).height

    def stop(done: int, total: int) -> None:
        assert open_dataset(tmp_path / "releases").metadata().height == before
        if done == total // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        deliver(prepared, target, stop)
    assert open_dataset(tmp_path / "releases").metadata().height == before
    rest = deliver(prepare(smaller, target, salt=SALT), target)
    assert len(rest.unchanged) >= len(prepared.files) // 2
    assert open_dataset(tmp_path / "releases").metadata().height == before - 1


def source(slug: str):
    import polars as pl

    return pl.col("source") == slug


def test_damage_on_the_way_is_mended(mixed: Dataset, target: Folder, tmp_path: Path) -> None:
    """Half a file that a dead publication left is not taken for the whole."""
    prepared = prepare(mixed, target, salt=SALT)
    victim = next(file for file in prepared.files if file.path.endswith(".parquet"))
    place = tmp_path / "releases" / "1.0.0" / victim.path
    place.parent.mkdir(parents=True)
    place.write_bytes(victim.local.read_bytes()[:100])
    assert victim.path in deliver(prepared, target).sent
    assert place.read_bytes() == victim.local.read_bytes()


def test_a_version_has_one_content(mixed: Dataset, smaller: Dataset, target: Folder) -> None:
    publish(mixed, target)
    with pytest.raises(UsageError, match=r"1\.0\.0 does not come after 1\.0\.0"):
        publish(smaller, target, version="1.0.0")


def test_every_released_byte_is_public(mixed: Dataset, target: Folder, tmp_path: Path) -> None:
    publish(mixed, target)
    for path in (tmp_path / "releases").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert SALT.secret not in data and str(tmp_path).encode() not in data
    manifest = json.loads((tmp_path / "releases" / "1.0.0" / "manifest.json").read_bytes())
    assert manifest["release"]["withheld"] == {"covid_blues": "its licence allows no derivatives"}


# Gates.


def test_without_phi_scan(mixed: Dataset, target: Folder, tmp_path: Path) -> None:
    shutil.copytree(mixed.root, tmp_path / "set")
    shutil.rmtree(tmp_path / "set" / "curation")
    with pytest.raises(DatasetError, match="PHI rules have not run"):
        prepare(open_dataset(tmp_path / "set"), target, salt=SALT)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"open": 2}, "2 PHI findings are open"),
        ({"data": "0" * 64}, "ran over other data"),
        ({"rules": 0}, "rules have changed"),
    ],
)
def test_phi_receipt_that_does_not_hold(
    mixed: Dataset, target: Folder, tmp_path: Path, change: dict, words: str
) -> None:
    shutil.copytree(mixed.root, tmp_path / "set")
    dataset = open_dataset(tmp_path / "set")
    receipt = json.loads(dataset.layout.phi_receipt.read_bytes())
    dataset.layout.phi_receipt.write_text(json.dumps(receipt | change))
    with pytest.raises(DatasetError, match=words):
        prepare(dataset, target, salt=SALT)


def test_another_salt(mixed: Dataset, target: Folder) -> None:
    with pytest.raises(UsageError, match="salt is another one"):
        prepare(mixed, target, salt=Salt(b"the secret of quite another site"))
