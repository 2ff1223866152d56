"""Downloads against a server on this machine: whole and of the right digest, or not there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from qoqdata.errors import InputError, UsageError
from qoqdata.fetching.channels import PublishedFile
from qoqdata.fetching.download import fetch
from qoqdata.fetching.http import check_secure
from tests.remote.servers import Site

CONTENT = bytes(range(256)) * 40


def published(site: Site, name: str, content: bytes = CONTENT, *, digest: bool = True):  # type: ignore[no-untyped-def]
    path = site.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    known = ("sha256", hashlib.sha256(content).hexdigest()) if digest else (None, None)
    return PublishedFile(name, f"{site.url}/{name}", len(content), *known)


def test_files_come_once(site: Site, tmp_path: Path) -> None:
    files = [published(site, "a/one.dat"), published(site, "two.dat", b"two", digest=False)]
    first = fetch(files, tmp_path / "raw")
    assert (first.came, first.unchecked, first.failed) == (
        ("a/one.dat", "two.dat"),
        ("two.dat",),
        (),
    )
    assert (tmp_path / "raw/a/one.dat").read_bytes() == CONTENT
    again = fetch(files, tmp_path / "raw")
    assert (again.came, again.kept) == ((), ("a/one.dat", "two.dat"))
    assert site.gets["a/one.dat"] == 1


def test_a_cut_download_goes_on_where_it_stopped(site: Site, tmp_path: Path) -> None:
    file = published(site, "one.dat")
    site.faults["one.dat"] = ["cut"]
    assert fetch([file], tmp_path).came == ("one.dat",)
    assert (tmp_path / "one.dat").read_bytes() == CONTENT
    # The half that came first was not sent again.
    assert site.sent["one.dat"] == len(CONTENT)


def test_what_an_earlier_run_left_is_gone_on_with(site: Site, tmp_path: Path) -> None:
    file = published(site, "one.dat")
    (tmp_path / ".one.dat.part").write_bytes(CONTENT[:9_000])
    assert fetch([file], tmp_path).came == ("one.dat",)
    assert site.sent["one.dat"] == len(CONTENT) - 9_000
    assert not (tmp_path / ".one.dat.part").exists()


def test_the_beginning_of_another_release_is_thrown_away(site: Site, tmp_path: Path) -> None:
    file = published(site, "one.dat")
    (tmp_path / ".one.dat.part").write_bytes(b"old" * 100)
    assert fetch([file], tmp_path).came == ("one.dat",)
    assert (tmp_path / "one.dat").read_bytes() == CONTENT


def test_without_a_digest_nothing_is_joined(site: Site, tmp_path: Path) -> None:
    file = published(site, "one.dat", digest=False)
    (tmp_path / ".one.dat.part").write_bytes(b"x" * 100)
    fetch([file], tmp_path)
    assert (tmp_path / "one.dat").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(site: Site, tmp_path: Path) -> None:
    site.ranges = False
    file = published(site, "one.dat")
    (tmp_path / ".one.dat.part").write_bytes(CONTENT[:100])
    assert fetch([file], tmp_path).came == ("one.dat",)
    assert (tmp_path / "one.dat").read_bytes() == CONTENT


def test_an_altered_file_is_fetched_anew(site: Site, tmp_path: Path) -> None:
    file = published(site, "one.dat")
    (tmp_path / "one.dat").write_bytes(CONTENT[:-1] + b"!")
    assert fetch([file], tmp_path).came == ("one.dat",)
    assert (tmp_path / "one.dat").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("fault", "message"),
    [("wrong", "another sha256"), ("404", "answers 404"), ("403", "sign in"), ("500", "500")],
)
def test_a_file_that_fails_is_not_there_and_the_others_are(
    site: Site, tmp_path: Path, fault: str, message: str
) -> None:
    bad, good = published(site, "bad.dat"), published(site, "good.dat")
    site.forever["bad.dat"] = fault
    fetched = fetch([bad, good], tmp_path)
    assert fetched.came == ("good.dat",)
    (error,) = fetched.failed
    assert isinstance(error, InputError)
    assert message in str(error)
    assert [path.name for path in tmp_path.glob("*.dat")] == ["good.dat"]


def test_a_passing_fault_is_tried_again(site: Site, tmp_path: Path) -> None:
    file = published(site, "one.dat")
    site.faults["one.dat"] = ["503", "reset"]
    assert fetch([file], tmp_path).came == ("one.dat",)


def test_nothing_is_sent_in_clear() -> None:
    with pytest.raises(UsageError, match="no https address"):
        check_secure("http://example.org/data")
    with pytest.raises(UsageError, match="no https address"):
        check_secure("file:///etc/hostname")
