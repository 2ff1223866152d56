"""Headers that values contradict: sign, bits, Hounsfield units, padding and classes that lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, JPEGLSNearLossless

from qoqdata.errors import UnreadableFile
from qoqdata.readers.dicom import read_dicom, read_values
from qoqdata.readers.dicom.header import read_dicom_header
from qoqdata.readers.dicom.smoothness import smoother_sign
from tests.readers.dicom_objects import change, image, item, save, shown

XA, XRF, DX = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("12.1", "12.2", "1.1"))


def body(dtype: str = "<i2", offset: int = 0) -> np.ndarray:
    """A phantom in HU plus `offset`: air with noise, soft tissue about 0, fat, bone up to 1400."""
    noise = np.random.default_rng(3).normal(0, 12, (96, 96))
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    radius = np.hypot(x, y)
    hu = np.where(radius < 0.8, -90.0, -1000.0)
    hu[radius < 0.7] = 10
    hu[np.hypot(x - 0.2, y) < 0.2] = 1400
    return np.clip(np.rint(hu + noise), -1024, 3071).astype(np.int32).__add__(offset).astype(dtype)


def coded(stored: np.ndarray, syntax: str, **keywords: object) -> FileDataset:
    """An image compressed as its dtype says, whose header is then changed."""
    bits = {key: keywords.pop(key) for key in ("BitsStored", "HighBit") if key in keywords}
    dataset = image(stored, **bits)
    dataset.compress(syntax)
    return change(dataset, **keywords)


def test_a_signed_jpeg_2000_stream_under_an_unsigned_header_is_read_as_signed(
    tmp_path: Path,
) -> None:
    rescale = {"RescaleSlope": 1, "RescaleIntercept": 0, "WindowCenter": 0, "WindowWidth": 2000}
    right = coded(body(), JPEG2000Lossless, **rescale)
    wrong = coded(body(), JPEG2000Lossless, **rescale, PixelRepresentation=0)
    expected, found = shown(right, tmp_path), shown(wrong, tmp_path)
    assert np.array_equal(expected.frames, found.frames)
    assert expected.repairs == ()
    (note,) = found.repairs
    assert "read as signed numbers of 16 bits" in note
    values, _ = read_values(save(wrong, tmp_path / "values.dcm"))
    assert np.array_equal(values[0], body())


def test_an_mr_without_units_is_settled_by_its_picture_alone(tmp_path: Path) -> None:
    wrong = coded(body(), JPEG2000Lossless, PixelRepresentation=0, Modality="MR")
    assert np.array_equal(read_values(save(wrong, tmp_path / "mr.dcm"))[0][0], body())


def test_an_unsigned_stream_under_a_signed_header_is_read_as_unsigned(tmp_path: Path) -> None:
    stored = body("<u2", offset=1024)  # bone reaches 2424, beyond 2047
    wrong = coded(
        stored, JPEG2000Lossless, BitsStored=12, HighBit=11, PixelRepresentation=1,
        RescaleSlope=1, RescaleIntercept=-1024,
    )  # fmt: skip
    values, _ = read_values(save(wrong, tmp_path / "one.dcm"))
    assert np.array_equal(values[0], body())


def test_twos_complement_in_an_unsigned_stream_stays_signed(tmp_path: Path) -> None:
    stored = (body() & 0x0FFF).astype("<u2")
    wrong = coded(stored, JPEG2000Lossless, BitsStored=12, HighBit=11, PixelRepresentation=1)
    assert np.array_equal(read_values(save(wrong, tmp_path / "one.dcm"))[0][0], body())


def test_a_lossless_stream_of_fewer_bits_than_a_signed_header_states(tmp_path: Path) -> None:
    stored = (body() & 0x0FFF).astype("<u2")
    wrong = coded(
        stored, JPEGLSLossless, BitsStored=12, HighBit=11, PixelRepresentation=1
    )  # fmt: skip
    change(wrong, BitsStored=16, HighBit=15)
    assert np.array_equal(read_values(save(wrong, tmp_path / "one.dcm"))[0][0], body())


def test_noise_that_fits_either_sign_is_refused(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-32768, 32768, (32, 32)).astype("<i2")
    wrong = coded(noise, JPEG2000Lossless, PixelRepresentation=0, Modality="MR")
    with pytest.raises(UnreadableFile, match="differ in sign"):
        shown(wrong, tmp_path)


def test_values_that_both_signs_share_need_no_note(tmp_path: Path) -> None:
    stored = np.arange(4096, dtype="<i2").reshape(64, 64) // 64
    wrong = coded(stored, JPEG2000Lossless, PixelRepresentation=0, WindowCenter=32, WindowWidth=65)
    found = shown(wrong, tmp_path)
    assert found.repairs == ()
    assert np.array_equal(found.frames[0, :, 5], np.floor((np.arange(64) + 0.5) / 64 * 255 + 0.5))


def test_frames_of_one_file_may_not_differ_in_sign(tmp_path: Path) -> None:
    dataset = image(np.stack([body(), body()]))
    dataset.compress(JPEG2000Lossless)
    parts = [image(body()), image(body("<u2", offset=1024))]
    streams = []
    for part in parts:
        part.compress(JPEG2000Lossless)
        streams.append(get_frame(part.PixelData, 0, number_of_frames=1))
    dataset.PixelData = encapsulate(streams)
    with pytest.raises(UnreadableFile, match="differs in sign"):
        shown(dataset, tmp_path)


@pytest.mark.parametrize(("bits", "stated"), [(8, 16), (12, 16), (16, 12)])
def test_a_codestream_of_another_precision(tmp_path: Path, bits: int, stated: int) -> None:
    """Values that fit BitsStored are shown whatever the container, others are refused."""
    stored = np.random.default_rng(1).integers(0, 2 ** min(bits, stated), (64, 64))
    dataset = image(stored.astype("<u2" if bits > 8 else "u1"), BitsStored=bits, HighBit=bits - 1)
    dataset.compress(JPEG2000Lossless)
    change(dataset, BitsAllocated=16, BitsStored=stated, HighBit=stated - 1, Modality="MR")
    assert np.array_equal(read_values(save(dataset, tmp_path / "one.dcm"))[0][0], stored)
    if bits > stated:
        loud = image((stored * 4).astype("<u2"))
        loud.compress(JPEG2000Lossless)
        with pytest.raises(UnreadableFile, match="do not fit BitsStored 12"):
            shown(change(loud, BitsStored=12, HighBit=11), tmp_path)


def test_more_bits_than_the_container_are_refused(tmp_path: Path) -> None:
    dataset = image(np.full((64, 64), 900, "<u2"))
    dataset.compress(JPEG2000Lossless)
    change(dataset, BitsAllocated=8, BitsStored=8, HighBit=7)
    with pytest.raises(UnreadableFile, match="16 bits per sample, BitsAllocated is 8"):
        shown(dataset, tmp_path)


HU = {"RescaleSlope": 1, "RescaleIntercept": -1024}


def test_a_ct_over_all_16_bits_is_refused_with_its_range(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-32768, 32768, (64, 64)).astype("<i2")
    noise[0, :2] = -32768, 32767
    with pytest.raises(UnreadableFile, match=r"from -33,792 to 31,743"):
        shown(image(noise, **HU), tmp_path)
    for other in ({"Modality": "MR"}, {"RescaleType": "US"}, {"RescaleIntercept": None}):
        dataset = image(noise, **HU)
        assert shown(change(dataset, **other), tmp_path).frames.shape == (1, 64, 64)


def test_a_ct_with_swapped_bytes_is_refused(tmp_path: Path) -> None:
    swapped = body("<i2", offset=1024).byteswap()
    with pytest.raises(UnreadableFile, match="no Hounsfield units"):
        shown(image(swapped, **HU), tmp_path)


def test_a_signed_ct_labelled_unsigned_is_repaired(tmp_path: Path) -> None:
    wrong = image(body(), RescaleSlope=1, RescaleIntercept=0, PixelRepresentation=0)
    path = save(wrong, tmp_path / "one.dcm")
    assert np.array_equal(read_values(path)[0][0], body())
    found = read_dicom(path, window="abdomen")
    right = save(image(body(), RescaleSlope=1, RescaleIntercept=0), tmp_path / "right.dcm")
    assert np.array_equal(found.frames, read_dicom(right, window="abdomen").frames)
    assert found.repairs == ("PixelRepresentation makes no CT of the values: read as signed",)


def test_bone_that_wrapped_below_air_is_repaired(tmp_path: Path) -> None:
    stored = body("<u2", offset=1024)
    wrong = image(stored, **HU, BitsStored=12, HighBit=11, PixelRepresentation=1)
    assert np.array_equal(read_values(save(wrong, tmp_path / "one.dcm"))[0][0], body())


def padded_with(value: int, dtype: str = "<i2") -> np.ndarray:
    stored = body(dtype)
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    stored[np.hypot(x, y) > 0.98] = value
    return stored


def with_metal(value: int) -> np.ndarray:
    stored = body()
    stored[40:52, 40:52] = value
    return stored


@pytest.mark.parametrize(
    "stored",
    [
        body(),
        padded_with(-2000),
        padded_with(-3024),
        padded_with(-32768),
        padded_with(-10000),
        with_metal(3071),
        with_metal(30000),
        np.full((32, 32), -1000, "<i2"),
        np.full((32, 32), -32768, "<i2"),
        np.where(np.arange(1024).reshape(32, 32) % 7 < 3, 0, 4095).astype("<i2"),
    ],
    ids=["plain", "-2000", "-3024", "-32768", "-10000", "metal", "extended", "air", "void", "mask"],
)
def test_what_scanners_do_write_passes_without_a_note(tmp_path: Path, stored: np.ndarray) -> None:
    dataset = image(stored, RescaleSlope=1, RescaleIntercept=0, WindowCenter=40, WindowWidth=400)
    path = save(dataset, tmp_path / "one.dcm")
    assert read_dicom(path).repairs == ()
    assert np.array_equal(read_values(path)[0][0], stored)


def test_saturated_metal_of_12_unsigned_bits_is_not_turned_to_air(tmp_path: Path) -> None:
    stored = body("<u2", offset=1024)
    stored[30:60, 30:60] = 4095
    path = save(image(stored, **HU, BitsStored=12, HighBit=11), tmp_path / "one.dcm")
    assert read_values(path)[0].max() == 3071


def test_the_sign_is_told_by_the_tear_that_the_other_makes() -> None:
    ramp = np.linspace(-50, 50, 64).astype("<i2").reshape(1, -1).repeat(8, axis=0)
    assert smoother_sign(ramp, 16) is True
    assert smoother_sign(ramp + 2**11, 12) is False
    assert smoother_sign(np.full((4, 4), -5, "<i2"), 16) is None
    noise = np.random.default_rng(0).integers(0, 4096, (64, 64))
    assert smoother_sign(noise, 12) is None


@pytest.mark.parametrize("sop", [XA, XRF, XA + ".1", XRF + ".1"])
def test_the_modality_table_of_an_angiogram_is_not_for_display(tmp_path: Path, sop: str) -> None:
    stored = np.arange(0, 256, 17, dtype="u1").reshape(1, -1)
    table = item(LUTDescriptor=[256, 0, 16], ModalityLUTType="US")
    table.add_new("LUTData", "OW", (65535 - np.arange(256) ** 2).astype("<u2").tobytes())
    keywords = {"WindowCenter": 128, "WindowWidth": 256, "ModalityLUTSequence": [table]}
    dataset = image(stored, SOPClassUID=sop, Modality="XA", **keywords)
    found = shown(dataset, tmp_path)
    assert found.frames[0].tolist() == stored.tolist()
    assert any("Modality LUT of an angiogram" in note for note in found.repairs)
    radiograph = shown(change(dataset, SOPClassUID=DX, Modality="DX"), tmp_path)
    assert set(radiograph.frames.ravel().tolist()) == {255}


def test_one_padding_value_is_not_sought_behind_a_lossy_codec(tmp_path: Path) -> None:
    """Inverted air of -1000 +- 3, where only pixels of exactly -1000 would go black."""
    air = np.random.default_rng(0).integers(-1003, -996, (32, 32)).astype("<i2")
    keywords = {
        "PixelPaddingValue": -1000, "PhotometricInterpretation": "MONOCHROME1",
        "WindowCenter": 0, "WindowWidth": 4000,
    }  # fmt: skip
    lossless = coded(air, JPEG2000Lossless, **keywords)
    assert (shown(lossless, tmp_path).frames == 0).any()
    lossy = image(air)
    lossy.compress(JPEGLSNearLossless, jls_error=1)
    found = shown(change(lossy, **keywords), tmp_path)
    assert found.frames.min() > 180
    assert "PixelPaddingValue is one value, the codec is lossy: not applied" in found.repairs
    # A range of padding is wide enough for what the codec does.
    ranged = change(lossy, PixelPaddingRangeLimit=-2000)
    assert (shown(ranged, tmp_path).frames == 0).any()


def test_a_jpeg_2000_label_that_the_stream_contradicts_is_settled_by_grey(tmp_path: Path) -> None:
    from tests.readers.dicom_objects import colour

    grey = np.tile(np.arange(0, 256, 4, dtype="u1"), (64, 1))
    rgb = np.stack([grey, grey, grey], axis=-1)
    ycc = np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], axis=-1)
    for samples in (rgb, ycc):
        dataset = colour(samples)
        dataset.compress(JPEG2000Lossless, use_mct=False)
        change(dataset, PhotometricInterpretation="YBR_RCT")
        found = shown(dataset, tmp_path)
        assert np.abs(found.frames[0].astype(int) - rgb).max() <= 1
        assert any("without a colour transform" in note for note in found.repairs)
    vivid = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype("u1")
    dataset = colour(vivid)
    dataset.compress(JPEG2000Lossless, use_mct=False)
    with pytest.raises(UnreadableFile, match="do not tell"):
        shown(change(dataset, PhotometricInterpretation="YBR_ICT"), tmp_path)


@pytest.mark.parametrize(
    ("keywords", "what"),
    [
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.30", "Modality": "MR"}, "a parametric map"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.6"}, "tiles of a whole slide"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.66.4", "Modality": "CT"}, "a segmentation"),
        ({"SegmentSequence": [item(SegmentNumber=1)]}, "a segmentation"),
        ({"TotalPixelMatrixColumns": 4096, "Modality": "SM"}, "tiles of a whole slide"),
        ({"DoseGridScaling": "0.001", "Modality": "CT"}, "a radiotherapy dose grid"),
        ({}, None),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.77.1.5.1", "Modality": "OP"}, None),
    ],
)
def test_objects_that_are_no_pictures_are_told_whatever_their_modality(
    tmp_path: Path, keywords: dict, what: str | None
) -> None:
    path = save(image(np.zeros((4, 4), "<u2"), **keywords), tmp_path / "one.dcm")
    assert read_dicom_header(path).no_picture == what
