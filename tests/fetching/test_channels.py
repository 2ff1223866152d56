"""What publishers list: PhysioNet's digests, Zenodo, Dataverse, plain addresses."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

import qoqdata as package
from qoqdata.errors import QoqdataError, UnreadableFile
from qoqdata.fetching import channels
from qoqdata.fetching.channels import Channel, Download, published_files, read_download
from qoqdata.sources.catalogue import find_source
from tests.remote.servers import Site

DIGEST = hashlib.sha256(b"x").hexdigest()


def listed(**channel: Any) -> list[tuple[str, str, str | None]]:
    download = Download(channels=(Channel(**channel),))
    return [(file.path, file.url, file.digest) for file in published_files(download)]


def test_every_channel_of_the_catalogue_is_read() -> None:
    with_one = [slug for slug in package.cards() if read_download(find_source(slug))]
    assert {"ptb_xl", "slake", "ham10000", "georgia"} <= set(with_one)
    assert {package.cards()[slug].access for slug in with_one} == {"open"}


def test_digests_beside_the_files(site: Site) -> None:
    lines = f"{DIGEST}  a b.csv\n{DIGEST.upper()} *records/01.dat\n\n{DIGEST}  RECORDS\n"
    (site.folder / "SHA256SUMS.txt").write_text(lines)
    url = f"{site.url}/SHA256SUMS.txt"
    assert listed(sha256sums=url) == [
        ("RECORDS", f"{site.url}/RECORDS", DIGEST),
        ("a b.csv", f"{site.url}/a%20b.csv", DIGEST),
        ("records/01.dat", f"{site.url}/records/01.dat", DIGEST),
    ]
    assert listed(sha256sums=url, only=("records/*",), below="records/") == [
        ("01.dat", f"{site.url}/records/01.dat", DIGEST)
    ]


@pytest.mark.parametrize("path", ["../x", "/etc/x", "a/../../x", "C:/x", "a\\..\\x"])
def test_a_path_that_leads_out_is_refused(site: Site, path: str) -> None:
    (site.folder / "SHA256SUMS.txt").write_text(f"{DIGEST}  {path}\n")
    with pytest.raises(UnreadableFile, match="leads out of the folder"):
        listed(sha256sums=f"{site.url}/SHA256SUMS.txt")


@pytest.mark.parametrize("text", ["", "<html>sign in</html>", f"{DIGEST}  a\n{DIGEST}  a\n"])
def test_what_is_no_listing_is_refused(site: Site, text: str) -> None:
    (site.folder / "SHA256SUMS.txt").write_text(text)
    with pytest.raises(UnreadableFile, match=r"lists|is no digest"):
        listed(sha256sums=f"{site.url}/SHA256SUMS.txt")


def test_zenodo(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    record = {
        "files": [
            {"key": "a.zip", "size": 3, "checksum": "md5:ABC", "links": {"self": "https://z/a"}}
        ]
    }
    answers(monkeypatch, record)
    (file,) = published_files(Download(channels=(Channel(zenodo=7),)))
    assert (file.path, file.url, file.size) == ("a.zip", "https://z/a", 3)
    assert (file.algorithm, file.digest) == ("md5", "abc")


def test_dataverse(monkeypatch: pytest.MonkeyPatch) -> None:
    checksum = {"type": "SHA-1", "value": "AB"}
    plain = {"id": 1, "filename": "a.zip", "filesize": 3, "checksum": checksum}
    table = plain | {"id": 2, "filename": "t.tab", "originalFileName": "t.csv"}
    files = [{"dataFile": plain, "directoryLabel": "d"}, {"dataFile": table}]
    answers(monkeypatch, {"data": {"latestVersion": {"files": files}}})
    one, two = published_files(Download(channels=(Channel(dataverse="doi:1/X"),)))
    assert (one.path, one.algorithm, one.digest) == ("d/a.zip", "sha1", "ab")
    # A table that the service converted is asked for as it was; its digest is not stated.
    assert (two.path, two.digest) == ("t.csv", None)
    assert two.url.endswith("/2?format=original")


@pytest.mark.parametrize("content", [[], {}, {"files": [{"key": "a"}]}, {"files": 3}])
def test_an_answer_of_another_form_is_told(content: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, content)
    with pytest.raises(QoqdataError, match="in another form than expected"):
        listed(zenodo=7)


def test_a_channel_is_one_place() -> None:
    with pytest.raises(ValueError, match="name one of"):
        Channel(zenodo=7, url="https://x/y")
    with pytest.raises(ValueError, match="name one of"):
        Channel()


def answers(monkeypatch: pytest.MonkeyPatch, content: Any) -> None:
    monkeypatch.setattr(channels, "read_all", lambda url: json.dumps(content).encode())
