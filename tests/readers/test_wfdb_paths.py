"""The files of a WFDB record: any of its names finds it, none may leave its folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import InputError, MissingFile, OutsideRoot, UnreadableFile
from qoqdata.readers.ecg import read_ecg
from tests.readers.wfdb_records_by_hand import NAMES, dat, header, mat, millivolts, noise
from tests.readers.wfdb_records_by_wfdb import walk


@pytest.mark.parametrize("kind", [dat, mat])
@pytest.mark.parametrize("name", ["rec", "rec.hea", "rec.{suffix}"])
def test_a_sound_record_by_any_of_its_paths(tmp_path: Path, kind: object, name: str) -> None:
    stored = noise()
    kind(tmp_path, stored)  # type: ignore[operator]
    recording = read_ecg(str(tmp_path / name.format(suffix=kind.__name__)))  # type: ignore[attr-defined]
    assert recording.leads == NAMES
    assert np.array_equal(recording.signal, millivolts(stored))
    assert recording.signal.dtype == np.float32 and recording.valid.dtype == bool
    assert recording.valid.all() and recording.repairs == ()
    assert (recording.age, recording.sex, recording.dx) == (60, "male", ("1", "2"))
    assert recording.comments == ("Age: 60", "Sex: Male", "Dx: 1,2")
    assert recording.seconds == 60 / 500


def test_two_signal_files_of_one_record(tmp_path: Path) -> None:
    stored = walk(12, (40, 2))
    lines = ["rec 2 500 40"]
    for k, name in enumerate(("I", "X")):
        total = int(stored[:, k].sum()) & 0xFFFF
        lines.append(
            f"rec.{'dat' if k == 0 else 'xyz'} 16 100/mV 16 0 {stored[0, k]} {total} 0 {name}"
        )
        (tmp_path / f"rec.{'dat' if k == 0 else 'xyz'}").write_bytes(
            stored[:, k].astype("<i2").tobytes()
        )
    (tmp_path / "rec.hea").write_text("\n".join(lines))
    for name in ("rec", "rec.hea", "rec.dat", "rec.xyz"):
        assert np.array_equal(read_ecg(tmp_path / name).signal, (stored.T / 100).astype(np.float32))


@pytest.mark.parametrize(
    "name",
    ["../outside.dat", "sub/../../outside.dat", "..\\outside.dat", "C:\\outside.dat", "{absolute}"],
)
def test_names_that_leave_the_folder(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    stored = noise()
    outside = tmp_path / "outside.dat"
    outside.write_bytes(stored.astype("<i2").tobytes())
    text = header(stored, file=name.format(absolute=outside))
    (inside / "rec.hea").write_text(text)
    with pytest.raises(OutsideRoot):
        read_ecg(inside / "rec")


def test_links_out_of_the_folder_are_refused_and_linked_caches_read(tmp_path: Path) -> None:
    blobs, view = tmp_path / "blobs", tmp_path / "view"
    blobs.mkdir()
    view.mkdir()
    dat(blobs, noise())
    (blobs / "rec.hea").rename(blobs / "aa11")
    (blobs / "rec.dat").rename(blobs / "bb22")
    (view / "rec.dat").symlink_to(blobs / "bb22")
    (view / "rec.hea").symlink_to(blobs / "aa11")
    assert np.array_equal(read_ecg(view / "rec").signal, millivolts(noise()))
    (view / "rec.hea").unlink()
    (view / "rec.hea").write_text(header(noise()))
    with pytest.raises(OutsideRoot, match="link"):
        read_ecg(view / "rec")


def test_a_folder_before_a_file_that_lies_beside_the_header_is_dropped(tmp_path: Path) -> None:
    stored = noise()
    text = header(stored, file="ge_median_beats/rec.dat").replace("rec 3", "ge_median_beats/rec 3")
    recording = read_ecg(dat(tmp_path, stored, text))
    assert np.array_equal(recording.signal, millivolts(stored))
    assert len(recording.repairs) == 2


def test_paths_that_are_no_record(tmp_path: Path) -> None:
    (tmp_path / "lone.dat").write_bytes(bytes(10))
    for name, kind in (("none", MissingFile), ("none.hea", MissingFile), ("lone.dat", MissingFile)):
        with pytest.raises(kind):
            read_ecg(tmp_path / name)
    with pytest.raises(UnreadableFile):
        read_ecg(tmp_path)
    with pytest.raises(InputError):
        read_ecg(tmp_path / "nul\0byte")
