"""WFDB folders: which files are one unit, and that no file goes without a row."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.records.identity import Salt
from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Filtered, Job, Planned, Unit
from qoqdata.sources.rawtree import open_raw

MAPPING = {
    "slug": "ecgs",
    "name": "ECGs",
    "domain": "ecg",
    "question": "Which rhythm?",
    "kind": "multi",
    "labels": {"1": "Sinus rhythm"},
    "label_header": "dx",
}


def test_a_record_of_segments_is_one_unit(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in (1, 2):
        samples = np.arange(number, number + 8, dtype="<i2")
        samples.tofile(raw / f"part{number}.dat")
        line = f"part{number}.dat 16 1000/mV 16 0 {samples[0]} {samples.sum()} 0 II"
        (raw / f"part{number}.hea").write_text(f"part{number} 1 100 8\n{line}\n")
    (raw / "whole.hea").write_text("whole/2 1 100 16\npart1 8\npart2 8\n#Dx: 1\n")
    request = SourceRequest(source="wfdb_folder", raw=raw, mapping=MAPPING)
    setting = BuildSetting(Salt(b"s" * 32), workers=0)
    manifest = build(BuildConfig(sources=(request,)), tmp_path / "set", setting)
    assert manifest.sources["ecgs"].counts.units == 1
    (record,) = pq.read_table(qoqdata.open(tmp_path / "set").paths[0]).to_pylist()
    assert len(record["provenance"]["raw"]) == 5
    expected = [*range(1, 9), *range(2, 10)]
    assert np.allclose(record["ecg"]["signal"][0], np.array(expected) / 1000, atol=1e-7)


def _write(raw: Path, name: str, first: int = 1, comment: str = "") -> None:
    """One lead of eight ascending samples, 1000 a mV, at 100 Hz."""
    raw.mkdir(parents=True, exist_ok=True)
    samples = np.arange(first, first + 8, dtype="<i2")
    samples.tofile(raw / f"{name}.dat")
    line = f"{name}.dat 16 1000/mV 16 0 {samples[0]} {samples.sum()} 0 II"
    (raw / f"{name}.hea").write_text(f"{name} 1 100 8\n{line}\n{comment}\n")


def _planned(raw: Path, **mapping: object) -> list[Planned]:
    source = find_source("wfdb_folder")
    card, settings = source.configure(source.card, MAPPING | mapping)
    return list(source.plan(Job(card, open_raw(raw), mapping=settings)))


def _told(raw: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What becomes of each key, and its files."""
    told = {}
    for item in _planned(raw):
        what = {Unit: "unit", Filtered: "filtered"}.get(type(item)) or item.error.code
        assert item.key not in told
        told[item.key] = (what, item.files)
    return told


def test_a_variable_layout_with_a_lost_segment_is_one_unit(tmp_path: Path) -> None:
    raw = tmp_path / "p00" / "p000020"
    _write(raw, "r_1")
    (raw / "r_layout.hea").write_text("r_layout 1 100 0\n~ 0 1000/mV 16 0 0 0 0 II\n")
    (raw / "r.hea").write_text("r/4 1 100 21\nr_layout 0\nr_1 8\n~ 5\nr_2 8\n#Dx: 1\n")
    names = ("r.hea", "r_layout.hea", "r_1.hea", "r_1.dat")
    files = tuple(f"p00/p000020/{name}" for name in names)
    assert _told(tmp_path) == {"p00/p000020/r": ("unit", files)}
    (unit,) = _planned(tmp_path)
    source = find_source("wfdb_folder")
    card, settings = source.configure(source.card, MAPPING)
    (record,) = source.convert(unit, Job(card, open_raw(tmp_path), mapping=settings))
    assert record.ecg.valid.tolist() == [[True] * 8 + [False] * 13]
    masked = "lead II: 62% unusable, masked"  # 13 of 21 samples
    assert record.notes == ("segment 3: masked (a file of it is missing)", masked)


def test_damaged_segments_and_their_files_stay_with_their_record(tmp_path: Path) -> None:
    _write(tmp_path, "r_1")
    _write(tmp_path, "r_2")
    (tmp_path / "r_2.hea").write_text("r_2 1 1")
    (tmp_path / "r.hea").write_text("r/2 1 100 16\nr_1 8\nr_2 8\n#Dx: 1\n")
    files = ("r.hea", "r_1.hea", "r_1.dat", "r_2.hea", "r_2.dat")
    assert _told(tmp_path) == {"r": ("unit", files)}


def test_null_signals_name_no_file(tmp_path: Path) -> None:
    _write(tmp_path, "a", comment="#Dx: 1")
    path = tmp_path / "a.hea"
    null = "~ 0 200/mV 16 0 0 0 0 V1\nnone.dat 0 200/mV 16 0 0 0 0 V2\n"
    path.write_text(path.read_text().replace("a 1 ", "a 3 ").replace("#Dx", f"{null}#Dx"))
    assert _told(tmp_path) == {"a": ("unit", ("a.hea", "a.dat"))}


def test_every_signal_file_has_a_row(tmp_path: Path) -> None:
    """Alone, in a folder, of another's name, of a header that cannot be read; each in one row."""
    _write(tmp_path, "a", comment="#Dx: 1")
    _write(tmp_path / "sub", "b", comment="#Dx: 1")
    _write(tmp_path, "torn")
    (tmp_path / "torn.hea").write_text("torn 1 100 8\n")
    (tmp_path / "alone.dat").write_bytes(bytes(16))
    (tmp_path / "sub" / "alone.mat").write_bytes(bytes(16))
    (tmp_path / "sub" / "a.dat").write_bytes(bytes(16))
    header = tmp_path / "sub" / "b.hea"
    header.write_text(header.read_text().replace("b.dat", "data/b.dat"))  # as PTB-XL+ has it
    assert _told(tmp_path) == {
        "a": ("unit", ("a.hea", "a.dat")),
        "sub/b": ("unit", ("sub/b.hea", "sub/b.dat")),
        "torn": ("unreadable_file", ("torn.hea", "torn.dat")),
        "alone.dat": ("missing_key", ("alone.dat",)),
        "sub/alone.mat": ("missing_key", ("sub/alone.mat",)),
        "sub/a.dat": ("missing_key", ("sub/a.dat",)),
    }


def test_masters_that_name_themselves_or_each_other(tmp_path: Path) -> None:
    """Neither is a segment, so neither is lost; the reader refuses both."""
    _write(tmp_path, "part")
    (tmp_path / "own.hea").write_text("own/1 1 100 8\nown 8\n#Dx: 1\n")
    (tmp_path / "one.hea").write_text("one/2 1 100 16\ntwo 8\npart 8\n#Dx: 1\n")
    (tmp_path / "two.hea").write_text("two/1 1 100 8\none 8\n#Dx: 1\n")
    assert _told(tmp_path) == {
        "own": ("unit", ("own.hea",)),
        "one": ("unit", ("one.hea", "part.hea", "part.dat")),
        "two": ("unit", ("two.hea",)),
    }


def test_names_that_leave_the_folder_take_no_record_along(tmp_path: Path) -> None:
    _write(tmp_path, "a", comment="#Dx: 1")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "r.hea").write_text("r/1 1 100 8\n../a 8\n#Dx: 1\n")
    (tmp_path / "sub" / "s.hea").write_text("s 1 100 8\n../a.dat 16 1000/mV\n#Dx: 1\n")
    assert _told(tmp_path) == {
        "a": ("unit", ("a.hea", "a.dat")),
        "sub/r": ("outside_root", ("sub/r.hea",)),
        "sub/s": ("outside_root", ("sub/s.hea",)),
    }


def test_every_header_is_parsed_once(tmp_path: Path) -> None:
    """However many masters name it."""
    for number in range(30):
        _write(tmp_path, f"s{number}")
    segments = "".join(f"s{number} 8\n" for number in range(30))
    for name in ("m", "n"):
        (tmp_path / f"{name}.hea").write_text(f"{name}/30 1 100 240\n{segments}#Dx: 1\n")
    module = import_module(find_source("wfdb_folder").module)
    with patch.object(module, "read_wfdb_header", wraps=module.read_wfdb_header) as parses:
        assert [item.key for item in _planned(tmp_path)] == ["m", "n"]
    assert parses.call_count == 32


def test_records_that_share_a_signal_are_one_group(tmp_path: Path) -> None:
    """Also over a third: a and b share a file, b and c share a segment."""
    for name in ("a", "seg", "d"):
        _write(tmp_path, name, comment="#Dx: 1")
    (tmp_path / "b.hea").write_text("b/2 1 100 16\nseg 8\na_again 8\n#Dx: 1\n")
    (tmp_path / "a_again.hea").write_text((tmp_path / "a.hea").read_text())
    (tmp_path / "c.hea").write_text("c/1 1 100 8\nseg 8\n#Dx: 1\n")
    groups = {item.key: item.group for item in _planned(tmp_path)}  # type: ignore[union-attr]
    assert groups == {"a": "a", "b": "a", "c": "a", "d": None}


def test_a_table_that_names_a_segment_is_told_so(tmp_path: Path) -> None:
    _write(tmp_path, "r_1")
    (tmp_path / "r.hea").write_text("r/1 1 100 8\nr_1 8\n")
    (tmp_path / "labels.csv").write_text("key,label\nr_1,1\nr,1\ngone,1\n")
    table = {"file": "labels.csv", "key": "key", "labels": "label"}
    planned = {item.key: item for item in _planned(tmp_path, table=table, label_header=None)}
    assert isinstance(planned["r"], Unit) and len(planned) == 3
    assert planned["gone"].error.code == "missing_file"
    assert planned["r_1"].error.code == "missing_key"
    assert "is a segment of r" in planned["r_1"].error.what


@pytest.mark.parametrize("name", ["r.hea", "r_layout.hea", "r_1.hea", "a.hea"])
def test_whatever_header_is_damaged_every_file_has_a_row(tmp_path: Path, name: str) -> None:
    _write(tmp_path, "a", comment="#Dx: 1")
    _write(tmp_path, "r_1")
    (tmp_path / "r_layout.hea").write_text("r_layout 1 100 0\n~ 0 1000/mV 16 0 0 0 0 II\n")
    (tmp_path / "r.hea").write_text("r/3 1 100 13\nr_layout 0\nr_1 8\n~ 5\n#Dx: 1\n")
    everything = {path.name for path in tmp_path.iterdir()}
    sound = (tmp_path / name).read_bytes()
    for bit in range(0, len(sound) * 8, 7):
        flipped = bytearray(sound)
        flipped[bit // 8] ^= 1 << bit % 8
        (tmp_path / name).write_bytes(bytes(flipped))
        rows = [file for item in _planned(tmp_path) for file in item.files]
        assert everything <= set(rows), bit


def test_a_flat_recording_is_quarantined_with_its_reason(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    _write(raw, "beats", comment="#Dx: 1")
    _write(raw, "flat", comment="#Dx: 1")
    np.full(8, 5, "<i2").tofile(raw / "flat.dat")
    line = "flat.dat 16 1000/mV 16 0 5 40 0 II"
    (raw / "flat.hea").write_text(f"flat 1 100 8\n{line}\n#Dx: 1\n")
    request = SourceRequest(source="wfdb_folder", raw=raw, mapping=MAPPING)
    setting = BuildSetting(Salt(b"s" * 32), workers=0)
    manifest = build(BuildConfig(sources=(request,)), tmp_path / "set", setting)
    counts = manifest.sources["ecgs"].counts
    assert (counts.converted, counts.quarantined) == (1, 1)
    (row,) = pq.read_table(tmp_path / "set" / "quarantine" / "ecgs.parquet").to_pylist()
    assert (row["unit"], row["reason"]) == ("flat", "unreadable_file")
    assert "no lead has a usable sample" in row["message"]
