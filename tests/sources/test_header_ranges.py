"""Headers of files in a store: what is looked at is fetched, and says what the whole file says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest

from qoqdata.errors import MissingFile, QoqdataError, UnreadableFile
from qoqdata.pipeline.config import SourceRequest
from qoqdata.pipeline.jobs import make_job
from qoqdata.pipeline.planning import make_plan
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.readers.limits import DEFAULT_LIMITS
from qoqdata.remote import faults
from qoqdata.remote.store import StoreFolder
from qoqdata.sources import catalogue
from qoqdata.sources.rawtree import open_raw
from tests.readers import dicom_objects

URL = "memory://scans/raw"
MAPPING = {
    "slug": "scans",
    "name": "Scans",
    "domain": "ct",
    "question": "Which technique?",
    "options": ["CT", "MR"],
    "label_header": "modality",
}


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("QOQDATA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(faults, "WAITS", (0.0, 0.0))
    yield
    system = fsspec.filesystem("memory")
    if system.exists("/scans"):
        system.rm("/scans", recursive=True)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the ranges that are fetched; no file may be fetched whole."""
    lengths: list[int] = []
    whole = StoreFolder.read_range

    def counted(store: StoreFolder, path: str, begin: int, end: int) -> bytes:
        lengths.append(end - begin)
        return whole(store, path, begin, end)

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("a whole file is fetched")

    monkeypatch.setattr(StoreFolder, "read_range", counted)
    monkeypatch.setattr(StoreFolder, "fetch", refused)
    return lengths


def scan(number: int, **keywords: object) -> bytes:
    """An image of 512 by 512 pixels of 16 bits, half a megabyte."""
    from io import BytesIO

    stored = np.full((512, 512), number, np.uint16)
    with BytesIO() as stream:
        uids = {"SOPInstanceUID": f"1.2.{number}", "SeriesInstanceUID": f"1.3.{number}"}
        made = dicom_objects.image(stored, PatientID=f"p{number}", **uids, **keywords)
        made.save_as(stream)
        return stream.getvalue()


def put(**files: bytes) -> None:
    fsspec.filesystem("memory").pipe({f"/scans/raw/{name}": one for name, one in files.items()})


def test_a_header_is_that_of_the_file(tmp_path: Path, read: list[int]) -> None:
    content = scan(3, ImageComments="x" * 200_000)
    put(short=scan(1), long=content)
    raw = open_raw(URL)
    for name, number, most in (("short", 1, 2**15), ("long", 3, 10 * 2**15)):
        (tmp_path / name).write_bytes(scan(1) if name == "short" else content)
        found = read_dicom_header(raw.header_of(name))
        assert found == read_dicom_header(tmp_path / name)
        assert found.patient_id == f"p{number}"
        assert 0 < sum(read) <= most
        read.clear()


def test_planning_fetches_headers(tmp_path: Path, read: list[int]) -> None:
    files = {f"{number:02d}": scan(number) for number in range(8)}
    put(**files)
    local = tmp_path / "raw"
    local.mkdir()
    for name, content in files.items():
        (local / name).write_bytes(content)
    source = catalogue.find_source("dicom_folder")
    plans = []
    for raw in (URL, local):
        request = SourceRequest(source="dicom_folder", raw=raw, mapping=MAPPING)
        plans.append(make_plan(source, make_job(source, request, limits=DEFAULT_LIMITS)))
    assert plans[0].table.equals(plans[1].table) and plans[0].table.height == 8
    # One range of 32 kB a file, of half a megabyte.
    assert read == [2**15] * 8
    assert sum(read) < sum(map(len, files.values())) / 15


def test_files_at_fault_say_what_they_are(read: list[int]) -> None:
    put(gone=scan(1), junk=b"no header" * 9, cut=scan(1)[:90], down=scan(2))
    raw = open_raw(URL)
    fsspec.filesystem("memory").rm("/scans/raw/gone")
    with pytest.raises(MissingFile, match="no longer in the store"):
        read_dicom_header(raw.header_of("gone"))
    for name in ("junk", "cut"):
        with pytest.raises(UnreadableFile):
            read_dicom_header(raw.header_of(name))
    with pytest.raises(QoqdataError):
        raw.header_of("nothing")
