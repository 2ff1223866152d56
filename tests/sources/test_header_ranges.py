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
from qoqdata.pipeline.planning import PlanStopped, SourcePlan, make_plan, plan_or_fault
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.readers.limits import DEFAULT_LIMITS
from qoqdata.remote import faults
from qoqdata.remote.store import StoreFolder
from qoqdata.sources import catalogue, raw_store
from qoqdata.sources.protocol import Job, Source
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


def failing(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception, times: int) -> list[str]:
    """Have the store fail for a file so many times; the files that were asked for, in order."""
    asked: list[str] = []
    cat_file = fsspec.filesystem("memory").__class__.cat_file

    def fails(system: object, path: str, *args: object, **keywords: object) -> bytes:
        asked.append(path.rpartition("/")[2])
        if asked[-1] == name and asked.count(name) <= times:
            raise error
        return cat_file(system, path, *args, **keywords)

    monkeypatch.setattr(fsspec.filesystem("memory").__class__, "cat_file", fails)
    return asked


def scans_job() -> tuple[Source, Job]:
    put(**{f"{number:02d}": scan(number) for number in range(6)})
    source = catalogue.find_source("dicom_folder")
    request = SourceRequest(source="dicom_folder", raw=URL, mapping=MAPPING)
    return source, make_job(source, request, limits=DEFAULT_LIMITS)


def test_a_plan_waits_for_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault that passes costs none of the headers that were read: none is read twice."""
    waits: list[float] = []
    monkeypatch.setattr(raw_store.time, "sleep", waits.append)
    source, job = scans_job()
    asked = failing(monkeypatch, "03", TimeoutError("no answer"), 7)
    plan = plan_or_fault(source, job, None, (), None)
    assert isinstance(plan, SourcePlan) and plan.table.height == 6 and plan.left_out == ()
    assert asked == ["00", "01", "02", *["03"] * 8, "04", "05"]
    # Two more attempts in `faults`, then a wait of planning, and so on.
    assert [wait for wait in waits if wait] == list(raw_store.PLANNING_WAITS[:2])


@pytest.mark.parametrize(
    ("error", "attempts"), [(TimeoutError("no answer"), 27), (PermissionError("has ended"), 1)]
)
def test_a_plan_that_is_given_up(
    monkeypatch: pytest.MonkeyPatch, error: Exception, attempts: int
) -> None:
    """No file is taken for refused, and no other is asked for; it says which, and why."""
    monkeypatch.setattr(raw_store, "PLANNING_WAITS", (0.0,) * 8)
    source, job = scans_job()
    asked = failing(monkeypatch, "03", error, 1000)
    stopped = plan_or_fault(source, job, None, (), None)
    assert isinstance(stopped, PlanStopped)
    assert f"{URL}/03: " in stopped.reason and str(error) in stopped.reason
    assert asked == ["00", "01", "02", *["03"] * attempts]
    # Outside a plan, each file is asked for.
    with pytest.raises(OSError, match="03"):
        job.raw.header_of("03").read(0, 10)
    assert job.raw.header_of("05").read(0, 4) == scan(5)[:4]


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
