"""Raw files in a repository of the Hub: the set of their folder, through its own file system."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfFileSystem

import qoqdata
from qoqdata.errors import UnfinishedBuild, UsageError
from qoqdata.remote import faults
from qoqdata.sources import raw_store
from tests.pipeline.test_raw_urls import build
from tests.publication import hub_server
from tests.publication.hub_server import TOKEN, Repo, git_oid

URL = "hf://datasets/our-lab/raw"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[hub_server.Hub]:
    monkeypatch.setattr(faults, "WAITS", (0.0, 0.0))
    monkeypatch.setattr(raw_store, "PLANNING_WAITS", (0.0,))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with hub_server.serving() as serving:
        template = f"{serving.url}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", serving.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        HfFileSystem.clear_instance_cache()
        yield serving
    HfFileSystem.clear_instance_cache()


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    qoqdata.simulate("ham10000", n=8, out=tmp_path / "raw")
    return tmp_path / "raw"


@pytest.fixture
def salt(tmp_path: Path) -> Path:
    (tmp_path / "salt").write_text("ab" * 32)
    return tmp_path / "salt"


def push(raw: Path, hub: hub_server.Hub, *, private: bool = False) -> str:
    """A commit of a raw folder, images as large files; returns it."""
    tree = {}
    for path in sorted(one for one in raw.rglob("*") if one.is_file()):
        content = path.read_bytes()
        large = path.suffix in (".jpg", ".png")
        oid = hashlib.sha256(content).hexdigest() if large else git_oid(content)
        hub.blobs[oid] = content
        tree[path.relative_to(raw).as_posix()] = ("lfs" if large else "regular", oid)
    repo = hub.repos.setdefault("our-lab/raw", Repo(private))
    return repo.commit(tree, "main")


def counted(manifest: Any) -> int:
    return manifest.sources["ham10000"].counts.quarantined


def test_the_set_is_that_of_the_folder(
    hub: hub_server.Hub, raw: Path, salt: Path, tmp_path: Path
) -> None:
    first = push(raw, hub)
    sound = build("ham10000", raw, tmp_path / "sound", salt)
    manifest = build("ham10000", URL, tmp_path / "set", salt)
    assert manifest.digest == sound.digest and counted(manifest) == 0
    # Again: nothing but the listing, and tables.
    before = len(hub.log)
    assert build("ham10000", URL, tmp_path / "set", salt).digest == sound.digest
    assert not [path for _, path in hub.log[before:] if path.endswith(".jpg")]
    # Another commit of which one image differs, and the first by its name.
    image = next(iter(sorted(raw.rglob("*.jpg"))))
    image.write_bytes(sorted(raw.rglob("*.jpg"))[1].read_bytes())
    push(raw, hub)
    changed = build("ham10000", URL, tmp_path / "set", salt)
    assert changed.digest == build("ham10000", raw, tmp_path / "sound", salt).digest
    assert changed.digest != sound.digest
    pinned = build("ham10000", f"{URL}@{first}", tmp_path / "pinned", salt)
    assert pinned.digest == sound.digest


def test_what_fails_is_told_and_goes_on(
    hub: hub_server.Hub, raw: Path, salt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(raw, hub)
    sound = build("ham10000", raw, tmp_path / "sound", salt)
    # The client waits for seconds before each of its own attempts.
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)
    hub.spoil = lambda _, path: 503 if path.endswith(".jpg") else None
    with pytest.raises(UnfinishedBuild, match="503") as told:
        build("ham10000", URL, tmp_path / "set", salt)
    assert "\n" not in str(told.value)
    hub.spoil = lambda *_: None
    manifest = build("ham10000", URL, tmp_path / "set", salt)
    assert manifest.digest == sound.digest and counted(manifest) == 0


@pytest.mark.parametrize(
    ("url", "private", "words"),
    [
        (URL, True, "hf auth login"),
        ("hf://datasets/our-lab/none", False, "hf auth login"),
        (f"{URL}/nowhere", False, "nowhere"),
        (f"{URL}@none", False, "none"),
    ],
)
def test_what_cannot_be_listed(
    hub: hub_server.Hub, raw: Path, salt: Path, tmp_path: Path, url: str, private: bool, words: str
) -> None:
    push(raw, hub, private=private)
    with pytest.raises(UsageError, match=words) as told:
        build("ham10000", url, tmp_path / "set", salt)
    assert "\n" not in str(told.value)


def test_a_private_repository(
    hub: hub_server.Hub, raw: Path, salt: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(raw, hub, private=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert counted(build("ham10000", URL, tmp_path / "set", salt)) == 0
