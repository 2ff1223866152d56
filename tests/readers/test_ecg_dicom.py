"""DICOM waveforms against pydicom's own conversion, and objects made to mislead."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

from qoqdata.errors import InputError, TooLarge, UnreadableFile, UnsupportedFormat
from qoqdata.readers.ecg import read_ecg
from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.readers.limits import DEFAULT_LIMITS
from tests.readers.einthoven import einthoven_residuals

CODES = dict(zip(TWELVE, (1, 2, 61, 62, 63, 64, 3, 4, 5, 6, 7, 8), strict=True))


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def channel(lead: str, unit: str = "uV", sensitivity: float = 2.5, **fields: object) -> Dataset:
    item = Dataset()
    item.ChannelSourceSequence = [coded(f"2:{CODES[lead]}", "MDC", f"Lead {lead}")]
    item.ChannelSensitivity = sensitivity
    item.ChannelSensitivityUnitsSequence = [coded(unit, "UCUM", unit)]
    item.ChannelSensitivityCorrectionFactor = 1
    item.ChannelBaseline = 0
    item.WaveformBitsStored = 16
    for key, value in fields.items():
        setattr(item, key, value)
    return item


def group(
    leads: tuple[str, ...],
    stored: np.ndarray,
    channels: list[Dataset] | None = None,
    **fields: object,
) -> Dataset:
    """A multiplex group; `stored` is (sample, channel)."""
    item = Dataset()
    item.WaveformOriginality = "ORIGINAL"
    item.MultiplexGroupTimeOffset = 0
    item.SamplingFrequency = 500
    item.NumberOfWaveformChannels = stored.shape[1]
    item.NumberOfWaveformSamples = stored.shape[0]
    item.WaveformBitsAllocated = 16
    item.WaveformSampleInterpretation = "SS"
    item.add_new("WaveformData", "OW", stored.astype("<i2").tobytes())
    item.ChannelDefinitionSequence = channels or [channel(lead) for lead in leads]
    for key, value in fields.items():
        setattr(item, key, value)
    return item


def save(path: Path, *groups: Dataset, big: bool = False, **fields: object) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.9.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRBigEndian if big else ExplicitVRLittleEndian
    dataset = FileDataset(
        str(path),
        {},
        file_meta=meta,
        preamble=b"\0" * 128,
        is_implicit_VR=False,
        is_little_endian=not big,
    )
    dataset.SOPClassUID = meta.MediaStorageSOPClassUID
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "ECG"
    dataset.PatientAge, dataset.PatientSex = "042Y", "F"
    dataset.WaveformSequence = list(groups)
    for key, value in fields.items():
        setattr(dataset, key, value)
    dataset.save_as(path, little_endian=not big, implicit_vr=False)
    return path


def noise(samples: int = 80, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-900, 900, (samples, channels))


def test_calibration_order_age_and_sex(tmp_path: Path) -> None:
    stored = noise()
    recording = read_ecg(save(tmp_path / "a.dcm", group(("V1", "II", "I"), stored)))
    assert recording.leads == ("I", "II", "V1") and recording.fs == 500.0
    expected = stored[:, [2, 1, 0]].T * 2.5 / 1000  # 2.5 uV a step
    np.testing.assert_allclose(recording.signal, expected, rtol=1e-6)
    assert recording.valid.all()
    assert (recording.age, recording.sex, recording.comments) == (42, "female", ())


def test_baseline_and_correction_as_pydicom_applies_them(tmp_path: Path) -> None:
    odd = [
        channel("I", "mV", 0.002, ChannelBaseline=0.25, ChannelSensitivityCorrectionFactor=1.5),
        channel("II"),
    ]
    path = save(tmp_path / "a.dcm", group((), noise(channels=2), odd))
    theirs = pydicom.dcmread(path).waveform_array(0).T
    np.testing.assert_allclose(
        read_ecg(path).signal, np.stack([theirs[0], theirs[1] / 1000]).astype(np.float32), rtol=1e-6
    )


def test_big_endian(tmp_path: Path) -> None:
    stored = noise()
    item = group(("I", "II", "V1"), stored)
    item.add_new("WaveformData", "OW", stored.astype(">i2").tobytes())
    recording = read_ecg(save(tmp_path / "a.dcm", item, big=True))
    np.testing.assert_allclose(recording.signal, stored.T * 2.5 / 1000, rtol=1e-6)


def test_padding_values_are_missing(tmp_path: Path) -> None:
    stored = noise()
    stored[10:13, 1] = -32768
    item = group(("I", "II", "V1"), stored)
    item.add_new("WaveformPaddingValue", "OW", np.array([-32768], "<i2").tobytes())
    recording = read_ecg(save(tmp_path / "a.dcm", item))
    assert np.flatnonzero(~recording.valid[1]).tolist() == [10, 11, 12]
    assert (recording.signal[1, 10:13] == 0).all() and recording.valid[[0, 2]].all()


def test_converter_stops_are_masked(tmp_path: Path) -> None:
    stored = noise(200)
    stored[50:65, 0] = 2047  # 30 ms
    channels = [channel("I", WaveformBitsStored=12), channel("II"), channel("V1")]
    recording = read_ecg(save(tmp_path / "a.dcm", group((), stored, channels)))
    assert np.flatnonzero(~recording.valid[0]).tolist() == list(range(50, 65))
    assert recording.valid[1:].all()


def test_groups_recorded_in_turn_share_one_time_line(tmp_path: Path) -> None:
    one, two = noise(50, 2, 1), noise(40, 2, 2)
    path = save(
        tmp_path / "a.dcm",
        group(("I", "II"), one),
        group(("V1", "II"), two, MultiplexGroupTimeOffset=120),  # 60 samples at 500 Hz
    )
    recording = read_ecg(path)
    assert recording.leads == ("I", "II", "V1") and recording.signal.shape == (3, 100)
    i, ii, v1 = recording.valid
    assert i[:50].all() and not i[50:].any() and np.array_equal(i, ii)
    assert not v1[:60].any() and v1[60:].all()
    np.testing.assert_allclose(recording.signal[2, 60:], two[:, 0] * 2.5 / 1000, rtol=1e-6)
    assert any("longer stretch" in repair for repair in recording.repairs)


def test_derived_median_beats_are_not_the_recording(tmp_path: Path) -> None:
    stored = noise()
    beat = group(("I", "II", "V1"), noise(20), WaveformOriginality="DERIVED")
    path = save(tmp_path / "a.dcm", group(("I", "II", "V1"), stored), beat)
    assert read_ecg(path).signal.shape == (3, 80)
    with pytest.raises(UnsupportedFormat, match="originally"):
        read_ecg(save(tmp_path / "b.dcm", beat))
    with pytest.raises(UnsupportedFormat, match="originally"):
        read_ecg(save(tmp_path / "c.dcm"))


def test_leads_by_name_when_there_is_no_known_code(tmp_path: Path) -> None:
    named = channel("I")
    named.ChannelSourceSequence = [coded("99", "LOCAL", "Lead V3 (Wilson)")]
    labelled = channel("II")
    del labelled.ChannelSourceSequence
    labelled.ChannelLabel = "avf"
    path = save(tmp_path / "a.dcm", group((), noise(channels=2), [named, labelled]))
    assert read_ecg(path).leads == ("aVF", "V3")


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"NumberOfWaveformSamples": 81}, UnreadableFile, "bytes"),
        ({"NumberOfWaveformSamples": 79}, UnreadableFile, "bytes"),
        ({"NumberOfWaveformSamples": 0}, UnreadableFile, "no samples"),
        ({"NumberOfWaveformSamples": 4_000_000_000}, TooLarge, "ecg samples"),
        ({"NumberOfWaveformChannels": 2}, UnreadableFile, "bytes"),
        ({"SamplingFrequency": 0}, UnsupportedFormat, "sampling frequency"),
        (
            {"WaveformBitsAllocated": 8, "WaveformSampleInterpretation": "MB"},
            UnsupportedFormat,
            "MB",
        ),
        ({"ChannelDefinitionSequence": []}, UnreadableFile, "definitions"),
    ],
)
def test_groups_that_contradict_themselves(
    tmp_path: Path, change: dict[str, object], kind: type[InputError], reason: str
) -> None:
    path = save(tmp_path / "a.dcm", group(("I", "II", "V1"), noise(), **change))
    with pytest.raises(kind, match=reason):
        read_ecg(path)


def test_channels_that_mislead(tmp_path: Path) -> None:
    contrary = channel("I")
    contrary.ChannelSourceSequence = [coded("2:1", "MDC", "Lead V2")]
    path = save(tmp_path / "a.dcm", group((), noise(channels=1), [contrary]))
    with pytest.raises(UnreadableFile, match="coded as lead I"):
        read_ecg(path)
    bare = channel("I")
    del bare.ChannelSensitivity
    path = save(tmp_path / "b.dcm", group((), noise(channels=2), [bare, channel("II")]))
    recording = read_ecg(path)
    assert recording.leads == ("II",) and "left out" in recording.repairs[0]


def named(code: str | None, meaning: str | None, label: str | None) -> Dataset:
    """A channel called so in the three places that can name its lead."""
    item = channel("I")
    del item.ChannelSourceSequence
    if code or meaning:
        item.ChannelSourceSequence = [
            coded(code or "99", "MDC" if code else "LOCAL", meaning or "")
        ]
    if label:
        item.ChannelLabel = label
    return item


@pytest.mark.parametrize(
    ("code", "meaning", "label", "lead"),
    [
        ("2:3", None, None, "V1"),
        ("2:3", "Lead V1", "V1", "V1"),
        ("2:3", "chest", "ECG 7", "V1"),
        (None, "Lead V1", "V1", "V1"),
        (None, "chest", "v1", "V1"),
        (None, "chest", None, "chest"),
        (None, None, "chest", "chest"),
        (None, None, None, "signal 0"),
    ],
)
def test_a_lead_is_named_in_three_places(
    tmp_path: Path, code: str | None, meaning: str | None, label: str | None, lead: str
) -> None:
    item = group((), noise(channels=1), [named(code, meaning, label)])
    assert read_ecg(save(tmp_path / "a.dcm", item)).leads == (lead,)


@pytest.mark.parametrize(
    ("code", "meaning", "label"),
    [
        ("2:3", "Lead V2", None),
        ("2:3", "Lead V1", "V2"),
        ("2:3", None, "V7"),
        ("2:3", "Lead X", None),
        (None, "Lead V1", "V2"),
    ],
)
def test_a_lead_that_is_called_two_names_is_refused(
    tmp_path: Path, code: str | None, meaning: str | None, label: str | None
) -> None:
    item = group((), noise(channels=1), [named(code, meaning, label)])
    with pytest.raises(UnreadableFile, match=r"a channel is (coded|described) as lead"):
        read_ecg(save(tmp_path / "a.dcm", item))


def test_one_lead_twice_over_the_same_time(tmp_path: Path) -> None:
    """In one group or two: equal copies are one lead, and of two that differ none is the truer."""
    stored = noise(channels=2)
    with pytest.raises(UnreadableFile, match="two channels are lead II"):
        read_ecg(save(tmp_path / "a.dcm", group(("II", "II"), stored)))
    with pytest.raises(UnreadableFile, match="two channels are lead II"):
        one, two = group(("I", "II"), stored), group(("II", "V1"), stored)
        read_ecg(save(tmp_path / "b.dcm", one, two))
    stored[:, 1] = stored[:, 0]
    recording = read_ecg(save(tmp_path / "c.dcm", group(("II", "II"), stored)))
    assert recording.leads == ("II",)
    assert recording.repairs == ("lead II is listed twice with identical samples; kept once",)
    odd = [channel("II"), channel("II", sensitivity=5)]
    with pytest.raises(UnreadableFile, match="two channels are lead II"):
        read_ecg(save(tmp_path / "d.dcm", group((), stored, odd)))


def test_of_equal_stretches_one_after_the_other_the_first_is_kept(tmp_path: Path) -> None:
    one, two = noise(50, 2, 1), noise(50, 2, 2)
    later = group(("V1", "II"), two, MultiplexGroupTimeOffset=100)
    recording = read_ecg(save(tmp_path / "a.dcm", group(("I", "II"), one), later))
    np.testing.assert_allclose(recording.signal[1, :50], one[:, 1] * 2.5 / 1000, rtol=1e-6)
    assert recording.valid[1, :50].all() and not recording.valid[1, 50:].any()
    assert recording.repairs == (
        "lead II recorded twice for the same length; the first stretch kept",
    )


def test_channels_without_a_known_name_are_all_kept(tmp_path: Path) -> None:
    stored = noise()
    bare = [named(None, None, label) for label in ("ECG", "ECG", None)]
    recording = read_ecg(save(tmp_path / "a.dcm", group((), stored, bare)))
    assert recording.leads == ("ECG", "ECG #2", "signal 2")
    np.testing.assert_allclose(recording.signal, stored.T * 2.5 / 1000, rtol=1e-6)


@pytest.mark.parametrize("lost", ["ChannelSensitivity", "ChannelSensitivityUnitsSequence"])
def test_uncalibrated_channels_are_no_leads(tmp_path: Path, lost: str) -> None:
    """Without sensitivity or unit a sample is a number of nothing."""
    bare = channel("I")
    delattr(bare, lost)
    recording = read_ecg(
        save(tmp_path / "a.dcm", group((), noise(channels=2), [bare, channel("II")]))
    )
    assert recording.leads == ("II",) and len(recording.repairs) == 1
    with pytest.raises(UnsupportedFormat, match="no channel is in volts"):
        read_ecg(save(tmp_path / "b.dcm", group((), noise(channels=1), [bare])))


def test_a_correction_factor_that_is_not_stated_is_noted(tmp_path: Path) -> None:
    bare = channel("I")
    del bare.ChannelSensitivityCorrectionFactor
    stored = noise(channels=1)
    recording = read_ecg(save(tmp_path / "a.dcm", group((), stored, [bare])))
    np.testing.assert_allclose(recording.signal, stored.T * 2.5 / 1000, rtol=1e-6)
    assert any("correction factor" in repair for repair in recording.repairs)


def test_limits_and_truncation(tmp_path: Path) -> None:
    path = save(tmp_path / "a.dcm", group(("I", "II", "V1"), noise()))
    with pytest.raises(TooLarge):
        read_ecg(path, limits=replace(DEFAULT_LIMITS, ecg_samples=239))
    data = path.read_bytes()
    for size in range(0, len(data), 37):
        path.write_bytes(data[:size])
        with pytest.raises(InputError):
            read_ecg(path)


@pytest.mark.slow
def test_flipped_bits_give_our_errors_or_a_finite_recording(tmp_path: Path) -> None:
    path = save(tmp_path / "a.dcm", group(("I", "II", "V1"), noise(20)))
    data = path.read_bytes()
    for bit in np.random.default_rng(8).choice(len(data) * 8, 400, replace=False):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << int(bit % 8)
        path.write_bytes(bytes(flipped))
        try:
            recording = read_ecg(path)
        except InputError:
            continue
        assert np.isfinite(recording.signal).all()
        assert recording.signal.shape == recording.valid.shape


def test_a_real_object(realdata: Path) -> None:
    path = realdata / "ecg/dicom_waveform/waveform_ecg.dcm"
    recording = read_ecg(path)
    theirs = pydicom.dcmread(path).waveform_array(0).T / 1000  # uV
    assert (recording.leads, recording.fs) == (TWELVE, 1000.0)
    np.testing.assert_allclose(recording.signal, theirs, rtol=1e-6, atol=1e-9)
    assert (recording.age, recording.sex, recording.repairs) == (42, "female", ())
    residuals = einthoven_residuals(recording.leads, recording.signal, recording.valid)
    assert max(residuals.values()) < 0.001
