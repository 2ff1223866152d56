"""Records of several segments, fixed and variable layout, against wfdb."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qoqdata.errors import OutsideRoot, UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import read_ecg
from tests.readers.wfdb_records_by_wfdb import walk

SEGMENT = "{name}.dat 16 {gain}/mV 16 0 {first} {total} 0 {lead}"


def _segment(folder: Path, name: str, leads: dict[str, np.ndarray], gain: float = 100.0) -> None:
    samples = len(next(iter(leads.values())))
    lines = [f"{name} {len(leads)} 250 {samples}"]
    lines += [
        SEGMENT.format(name=name, gain=gain, first=s[0], total=int(s.sum()) & 0xFFFF, lead=lead)
        for lead, s in leads.items()
    ]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    (folder / f"{name}.dat").write_bytes(np.stack(list(leads.values()), 1).astype("<i2").tobytes())


def test_fixed_layout_equals_wfdb(tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    one, two = walk(12, (30, 2), 1), walk(12, (20, 2), 2)
    _segment(tmp_path, "m_1", {"V5": one[:, 0], "II": one[:, 1]})
    _segment(tmp_path, "m_2", {"V5": two[:, 0], "II": two[:, 1]}, gain=50.0)
    (tmp_path / "m.hea").write_text("m/3 2 250 80\nm_1 30\nm_2 20\nm_1 30\n# Age: 7\n")
    recording = read_ecg(tmp_path / "m")
    assert recording.leads == ("II", "V5")
    assert (recording.fs, recording.age) == (250.0, 7)
    theirs = wfdb.rdrecord(str(tmp_path / "m")).p_signal.T[[1, 0]]
    assert recording.valid.all()
    assert np.array_equal(recording.signal, theirs.astype(np.float32))


def test_a_gap_in_a_fixed_layout_is_masked(tmp_path: Path) -> None:
    # header(5) allows null segments here; wfdb 4.3 stops with an AttributeError.
    one = walk(12, (30, 2), 1)
    _segment(tmp_path, "m_1", {"V5": one[:, 0], "II": one[:, 1]})
    (tmp_path / "m.hea").write_text("m/3 2 250 75\nm_1 30\n~ 15\nm_1 30\n")
    recording = read_ecg(tmp_path / "m")
    gap = np.zeros((15, 2))
    expected = np.concatenate([one, gap, one])[:, [1, 0]].T / 100
    assert np.array_equal(recording.signal, expected.astype(np.float32))
    assert np.array_equal(
        recording.valid.any(axis=0), np.r_[np.ones(30), np.zeros(15), np.ones(30)]
    )


def test_variable_layout_lists_only_leads_that_some_segment_holds(tmp_path: Path) -> None:
    one, two = walk(12, (30, 2), 1), walk(12, (20, 2), 2)
    (tmp_path / "v_layout.hea").write_text(
        "v_layout 4 250 0\n"
        + "".join(f"~ 0 100/mV 16 0 0 0 0 {n}\n" for n in ("II", "V", "I", "ABP"))
    )
    _segment(tmp_path, "v_1", {"II": one[:, 0], "I": one[:, 1]})
    _segment(tmp_path, "v_2", {"I": two[:, 0], "V": two[:, 1]})
    (tmp_path / "v.hea").write_text("v/4 4 250 60\nv_layout 0\nv_1 30\n~ 10\nv_2 20\n")
    recording = read_ecg(tmp_path / "v")
    assert recording.leads == ("I", "II", "V")
    i, ii, v = recording.valid
    assert i[:30].all() and not i[30:40].any() and i[40:].all()
    assert ii[:30].all() and not ii[30:].any()
    assert not v[:40].any() and v[40:].all()
    assert np.array_equal(recording.signal[0, 40:], (two[:, 0] / 100).astype(np.float32))
    assert (recording.signal[~recording.valid] == 0).all()


@pytest.mark.parametrize(
    ("master", "reason"),
    [
        ("m/2 1 250 61\nm_1 30\nm_2 30\n", "declares 61 samples"),
        ("m/2 1 250 59\nm_1 30\nm_2 29\n", "29 samples declared, 30 found"),
        ("m/1 1 250 60\nm 60\n", "itself has segments"),
        ("m/1 1 250 60\n~ 60\n", "no segment holds samples"),
    ],
)
def test_segments_that_contradict_their_record(tmp_path: Path, master: str, reason: str) -> None:
    for name in ("m_1", "m_2"):
        _segment(tmp_path, name, {"II": walk(12, (30, 1))[:, 0]})
    (tmp_path / "m.hea").write_text(master)
    with pytest.raises(UnreadableFile, match=reason):
        read_ecg(tmp_path / "m")


def test_segment_names_stay_in_the_folder(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    _segment(tmp_path, "m_1", {"II": walk(12, (30, 1))[:, 0]})
    (inside / "m.hea").write_text("m/1 1 250 30\n../m_1 30\n")
    with pytest.raises(OutsideRoot):
        read_ecg(inside / "m")


def test_segments_of_different_rates_are_refused(tmp_path: Path) -> None:
    _segment(tmp_path, "m_1", {"II": walk(12, (30, 1))[:, 0]})
    (tmp_path / "m.hea").write_text("m/1 1 500 30\nm_1 30\n")
    with pytest.raises(UnsupportedFormat, match="sampling frequency"):
        read_ecg(tmp_path / "m")
