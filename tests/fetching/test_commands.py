"""qoqdata get and check-raw, from a made-up publisher on this machine."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from qoqdata.api import fetching
from qoqdata.errors import UsageError
from qoqdata.fetching import channels
from qoqdata.fetching.channels import Channel, Download
from qoqdata.sources.catalogue import find_source
from tests.remote.servers import Site

Command = Callable[..., tuple[int, str, str]]
SLUG = "lc25000"


@pytest.fixture
def publisher(site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Publishes the example of LC25000 as PhysioNet would."""
    shutil.copytree(find_source(SLUG).folder / "example/raw", site.folder, dirs_exist_ok=True)
    files = sorted(path for path in site.folder.rglob("*") if path.is_file())
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(site.folder)}"
        for path in files
    ]
    (site.folder / "SHA256SUMS.txt").write_text("\n".join(lines))
    download = Download(channels=(Channel(sha256sums=f"{site.url}/SHA256SUMS.txt"),))
    monkeypatch.setattr(channels, "read_download", lambda source: download)
    return site


def test_what_get_brings_is_sound_but_for_the_number(
    publisher: Site, qoqdata: Command, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    code, out, _ = qoqdata("get", SLUG, "--out", raw)
    assert code == 0
    assert "files came, 0 were there" in out
    code, out, _ = qoqdata("check-raw", SLUG, "--raw", raw, "--json")
    found = json.loads(out)
    assert (found["missing"], found["altered"], found["failure"]) == ([], {}, None)
    # The example is no complete copy.
    assert (code, found["sound"], found["expected"]) == (1, False, 25_000)
    assert 0 < found["units"] < 25_000


def test_missing_and_altered_files_are_named(
    publisher: Site, qoqdata: Command, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    qoqdata("get", SLUG, "--out", raw)
    lost, changed = sorted(path for path in raw.rglob("*.jpeg"))[:2]
    lost.unlink()
    changed.write_bytes(b"x")
    code, out, _ = qoqdata("check-raw", SLUG, "--raw", raw)
    assert code == 1
    assert f"missing: {lost.relative_to(raw)}" in out
    assert f"altered: {changed.relative_to(raw)} has another sha256" in out
    code, out, _ = qoqdata("get", SLUG, "--out", raw)
    assert (code, "2 files came" in out) == (0, True)


def test_a_gated_source_tells_its_steps(qoqdata: Command, tmp_path: Path) -> None:
    code, _, err = qoqdata("get", "mimic_cxr", "--out", tmp_path)
    card = find_source("mimic_cxr").card
    assert code == 2
    assert "its access is credentialed" in err
    assert " ".join(card.get.split()) in err
    assert card.licence.name in err
    assert not list(tmp_path.iterdir())


def test_a_source_without_a_channel_tells_its_steps(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no channel is known"):
        fetching.get(SLUG, out=tmp_path)


def test_no_server_is_asked_without_listing(tmp_path: Path) -> None:
    shutil.copytree(find_source("ptb_xl").folder / "example/raw", tmp_path / "raw")
    found = fetching.check_raw("ptb_xl", raw=tmp_path / "raw", listing=False)
    assert found.listed is None
    assert found.units > 0
    with pytest.raises(UsageError, match="is no folder"):
        fetching.check_raw("ptb_xl", raw=tmp_path / "absent", listing=False)
    with pytest.raises(UsageError, match="planned by a mapping"):
        fetching.check_raw("image_table", raw=tmp_path, listing=False)
