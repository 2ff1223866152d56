"""Fixed and variable layouts, gaps and null signals, against wfdb and by hand."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qoqdata.errors import InputError, UnreadableFile
from qoqdata.readers.ecg import Recording, read_ecg
from qoqdata.readers.ecg.leads import canonical
from tests.readers.wfdb_records_by_hand import dat, header, millivolts, noise
from tests.readers.wfdb_records_by_wfdb import walk
from tests.readers.wfdb_segments_by_hand import write_layout, write_master, write_segment

LEADS = {"II": "mV", "ABP": "mmHg", "AVR": "mV", "V": "mV"}


def draw(leads: tuple[str, ...], samples: int, seed: int) -> dict[str, np.ndarray]:
    return dict(zip(leads, walk(12, (samples, len(leads)), seed).T, strict=True))


def assert_as_wfdb(recording: Recording, stem: Path) -> None:
    """The voltages that have a sample, its values, and False in the mask where wfdb has NaN."""
    wfdb = pytest.importorskip("wfdb")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = wfdb.rdrecord(str(stem), m2s=True)
    values = {
        canonical(name): lead
        for name, unit, lead in zip(theirs.sig_name, theirs.units, theirs.p_signal.T, strict=True)
        if unit == "mV" and not np.isnan(lead).all()
    }
    assert set(recording.leads) == set(values) and recording.fs == theirs.fs
    for lead, signal, valid in zip(recording.leads, recording.signal, recording.valid, strict=True):
        assert np.array_equal(valid, ~np.isnan(values[lead])), lead
        assert np.array_equal(signal, np.nan_to_num(values[lead]).astype(np.float32)), lead


def test_all_or_some_of_the_leads_in_any_order(tmp_path: Path) -> None:
    write_layout(tmp_path, "r_layout", LEADS)
    write_segment(tmp_path, "r_1", draw(("II", "ABP", "AVR", "V"), 30, 1), units=LEADS)
    write_segment(tmp_path, "r_2", draw(("V", "II"), 20, 2), gain=55)
    write_segment(tmp_path, "r_3", draw(("ABP",), 7, 3), units=LEADS)
    segments = [("r_layout", 0), ("~", 4), ("r_1", 30), ("r_3", 7), ("r_2", 20), ("~", 9)]
    recording = read_ecg(write_master(tmp_path, "r", segments, 4))
    assert recording.leads == ("II", "aVR", "V")
    assert recording.valid.sum(axis=1).tolist() == [50, 30, 50]
    assert_as_wfdb(recording, tmp_path / "r")
    # Lists count from 0 and have the layout and the gaps in them.
    assert [note for note in recording.repairs if "masked" in note] == [
        "segment 3: masked (no channel is in volts)"
    ]


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_every_variable_layout_is_read_as_wfdb_reads_it(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("layout")
    write_layout(folder, "r_layout", LEADS)
    segments = [("r_layout", 0)]
    for number in range(data.draw(st.integers(1, 5))):
        leads = data.draw(st.lists(st.sampled_from(tuple(LEADS)), unique=True, max_size=4))
        length = data.draw(st.integers(2, 20))
        if leads:
            write_segment(folder, f"r_{number}", draw(tuple(leads), length, number), units=LEADS)
        segments.append((f"r_{number}" if leads else "~", length))
    path = write_master(folder, "r", segments, len(LEADS))
    held = [name for name, _ in segments[1:] if name != "~"]
    heads = [(folder / f"{name}.hea").read_text() for name in held]
    if any("/mV" in head for head in heads):
        assert_as_wfdb(read_ecg(path), folder / "r")
    else:
        with pytest.raises(InputError, match="no segment holds samples"):
            read_ecg(path)


def test_missing_samples_of_a_segment_are_masked_as_in_wfdb(tmp_path: Path) -> None:
    write_layout(tmp_path, "r_layout", {"II": "mV", "V": "mV"})
    one, two = draw(("II", "V"), 30, 1), draw(("V", "II"), 20, 2)
    one["II"][3:9] = two["V"][-4:] = -32768
    write_segment(tmp_path, "r_1", one)
    write_segment(tmp_path, "r_2", two)
    path = write_master(tmp_path, "r", [("r_layout", 0), ("r_1", 30), ("r_2", 20)], 2)
    recording = read_ecg(path)
    assert recording.valid.sum(axis=1).tolist() == [44, 46]
    assert_as_wfdb(recording, tmp_path / "r")


def test_quality_is_judged_on_the_whole_record(tmp_path: Path) -> None:
    """A segment of one sample is not flat; 1.2 s of one value on both sides of a seam are."""
    one, two = draw(("II",), 700, 1), draw(("II",), 700, 2)
    one["II"][400:] = two["II"][:300] = 17
    write_segment(tmp_path, "r_1", one)
    write_segment(tmp_path, "r_2", two)
    write_segment(tmp_path, "r_3", draw(("II",), 1, 3))
    path = write_master(tmp_path, "r", [("r_1", 700), ("r_2", 700), ("r_3", 1)], 1)
    assert np.flatnonzero(~read_ecg(path).valid[0]).tolist() == list(range(400, 1000))


def test_a_record_without_its_layout_is_read_by_its_segments(tmp_path: Path) -> None:
    write_segment(tmp_path, "r_1", draw(("V", "II"), 30, 1))
    write_segment(tmp_path, "r_2", draw(("II",), 20, 2))
    path = write_master(tmp_path, "r", [("r_layout", 0), ("r_1", 30), ("r_2", 20)], 2)
    recording = read_ecg(path)
    assert recording.leads == ("II", "V") and recording.valid.sum(axis=1).tolist() == [50, 30]
    assert recording.repairs == ("segment 0: left out (a file of it is missing)",)


def test_leads_of_a_fixed_layout_are_joined_by_name(tmp_path: Path) -> None:
    one, two = draw(("II", "V5"), 30, 1), draw(("V5", "II"), 20, 2)
    write_segment(tmp_path, "m_1", one)
    write_segment(tmp_path, "m_2", two)
    recording = read_ecg(write_master(tmp_path, "m", [("m_1", 30), ("m_2", 20)], 2))
    expected = np.stack([np.concatenate([one[lead], two[lead]]) for lead in ("II", "V5")]) / 100
    assert np.array_equal(recording.signal, expected.astype(np.float32))
    assert recording.repairs == (
        "segment 1: lists other leads than the first segment; joined by name",
    )


def test_names_that_only_the_first_segment_of_a_fixed_layout_gives(tmp_path: Path) -> None:
    wfdb = pytest.importorskip("wfdb")
    write_segment(tmp_path, "m_1", draw(("II", "V5"), 30, 1))
    write_segment(tmp_path, "m_2", draw(("II", "V5"), 20, 2))
    second = tmp_path / "m_2.hea"
    second.write_text(second.read_text().replace(" 0 II\n", " 0\n").replace(" 0 V5\n", " 0\n"))
    recording = read_ecg(write_master(tmp_path, "m", [("m_1", 30), ("m_2", 20)], 2))
    theirs = wfdb.rdrecord(str(tmp_path / "m"))
    assert recording.leads == tuple(theirs.sig_name) and recording.valid.all()
    assert np.array_equal(recording.signal, theirs.p_signal.T.astype(np.float32))


def test_each_segment_is_calibrated_by_its_own_header(tmp_path: Path) -> None:
    """The layout says mV, and so does one segment; the other states microvolts, at its own gain."""
    write_layout(tmp_path, "r_layout", {"II": "mV"})
    one, two = draw(("II",), 30, 1), draw(("II",), 20, 2)
    write_segment(tmp_path, "r_1", one, gain=200)
    write_segment(tmp_path, "r_2", two, gain=0.2, units={"II": "uV"})
    path = write_master(tmp_path, "r", [("r_layout", 0), ("r_1", 30), ("r_2", 20)], 1)
    recording = read_ecg(path)
    expected = np.concatenate([one["II"] / 200, two["II"] / 0.2 / 1000])
    np.testing.assert_allclose(recording.signal[0], expected, rtol=1e-6)
    assert recording.repairs == ("segment 2: states another unit than the layout; its own taken",)


@pytest.mark.parametrize(
    ("layout", "first", "second"),
    [("mV", "mV", "mmHg"), ("mV", "mmHg", "mmHg"), ("uV", "uV", ""), ("uV", "", ""), ("", "V", "")],
)
def test_units_that_cannot_be_reconciled(
    tmp_path: Path, layout: str, first: str, second: str
) -> None:
    """A unit that is not stated would be mV, where the rest of the record says otherwise."""
    write_layout(tmp_path, "r_layout", {"II": layout})
    write_segment(tmp_path, "r_1", draw(("II",), 30, 1), units={"II": first})
    write_segment(tmp_path, "r_2", draw(("II",), 20, 2), units={"II": second})
    path = write_master(tmp_path, "r", [("r_layout", 0), ("r_1", 30), ("r_2", 20)], 1)
    with pytest.raises(UnreadableFile, match="the unit of lead II"):
        read_ecg(path)


def test_segments_of_several_samples_a_frame_meet_at_one_rate(tmp_path: Path) -> None:
    one, two = walk(12, (60, 1), 1), walk(12, (80, 1), 2)
    write_segment(tmp_path, "r_1", {"II": one[:, 0]})
    write_segment(tmp_path, "r_2", {"II": two[:, 0]})
    for name, per_frame, frames in (("r_1", 2, 30), ("r_2", 4, 20)):
        path = tmp_path / f"{name}.hea"
        text = path.read_text().replace(".dat 16 ", f".dat 16x{per_frame} ")
        path.write_text(text.replace(f" 250 {per_frame * frames}", f" 250 {frames}"))
    recording = read_ecg(write_master(tmp_path, "r", [("r_1", 30), ("r_2", 20)], 1))
    expected = np.concatenate([one[:, 0], two.reshape(-1, 2).mean(axis=1)]) / 100
    assert recording.fs == 500 and recording.signal.shape == (1, 100)
    np.testing.assert_allclose(recording.signal[0], expected, rtol=1e-6, atol=1e-7)
    assert any("different rates" in note for note in recording.repairs)


@pytest.mark.parametrize("place", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["~", "rec.dat"])
def test_null_signals_stand_anywhere(tmp_path: Path, place: int, name: str) -> None:
    """Format 0 has no samples, whatever file it names, and parts no group of one file."""
    stored = noise()
    lines = header(stored).splitlines()
    lines.insert(1 + place, f"{name} 0 200/mV 16 0 0 0 0 V6")
    lines[0] = lines[0].replace("rec 3", "rec 4")
    recording = read_ecg(dat(tmp_path, stored, "\n".join(lines) + "\n"))
    assert recording.leads == ("I", "II", "V1") and recording.valid.all()
    assert np.array_equal(recording.signal, millivolts(stored))
