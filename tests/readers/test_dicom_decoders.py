"""Each compressed syntax through two decoders that share no code, or no build of it.

Ours are pylibjpeg, pyjpegls and Pillow; the others GDCM inside SimpleITK, and imagecodecs with
libjpeg-turbo, CharLS and OpenJPH.
"""

from __future__ import annotations

import re
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    JPEGTransferSyntaxes,
    RLELossless,
)

from qoqdata.errors import UnreadableFile, UnsupportedFormat
from qoqdata.readers.dicom import read_values
from qoqdata.readers.dicom.packages import PACKAGES, other_decoder, with_decoder
from tests.readers.dicom_objects import change, image, save, shown

PACKAGED = Path(pydicom.__file__).parent / "data" / "test_files"
ROOT = Path(__file__).resolve().parents[2]


def scan(bits: int = 12) -> np.ndarray:
    """A smooth picture with the noise of a detector, unsigned."""
    y, x = np.mgrid[0 : np.pi : 64j, 0 : np.pi : 80j]
    noise = np.random.default_rng(0).normal(0, 2 ** (bits - 9), (64, 80))
    picture = np.sin(y) * np.sin(2 * x) ** 2 * (2**bits - 1) * 0.9 + noise
    return np.clip(picture, 0, 2**bits - 1).astype("<u2" if bits > 8 else "u1")


def plain(stored: np.ndarray, bits: int) -> FileDataset:
    return image(stored, BitsStored=bits, HighBit=bits - 1, Modality="MR")


def of_stream(stored: np.ndarray, bits: int, syntax: str, stream: bytes) -> FileDataset:
    dataset = plain(stored, bits)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([stream])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset


def by_pydicom(syntax: str, **options: object) -> FileDataset:
    dataset = plain(scan(), 12)
    dataset.compress(syntax, **options)
    return dataset


def baseline() -> FileDataset:
    out = BytesIO()
    Image.fromarray(scan(8)).save(out, "JPEG", quality=90)
    return of_stream(scan(8), 8, JPEGBaseline8Bit, out.getvalue())


def lossless(predictor: int, syntax: str) -> FileDataset:
    codecs = pytest.importorskip("imagecodecs", reason="no encoder of lossless JPEG")
    stream = codecs.jpeg8_encode(scan(), lossless=True, predictor=predictor, bitspersample=12)
    return of_stream(scan(), 12, syntax, stream)


def extended() -> FileDataset:
    codecs = pytest.importorskip("imagecodecs", reason="no encoder of 12-bit JPEG")
    return of_stream(
        scan(), 12, JPEGExtended12Bit, codecs.jpeg8_encode(scan(), level=95, bitspersample=12)
    )


def deflated() -> FileDataset:
    dataset = plain(scan(), 12)
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    return dataset


@pytest.mark.parametrize(
    ("make", "most", "loss"),
    [
        (baseline, 1, 8),
        (extended, 1, 60),
        (lambda: lossless(1, JPEGLosslessSV1), 0, 0),
        (lambda: lossless(6, JPEGLossless), 0, 0),
        (lambda: by_pydicom(JPEGLSLossless), 0, 0),
        (lambda: by_pydicom(JPEGLSNearLossless, jls_error=2), 0, 2),
        (lambda: by_pydicom(JPEG2000Lossless), 0, 0),
        (lambda: by_pydicom(JPEG2000, j2k_cr=[4]), 1, 60),
        (lambda: by_pydicom(RLELossless), 0, 0),
        (deflated, 0, 0),
    ],
    ids=[
        "baseline",
        "extended",
        "sv1",
        "lossless",
        "jls",
        "near",
        "j2k",
        "j2k-lossy",
        "rle",
        "deflated",
    ],
)
def test_two_decoders_agree(tmp_path: Path, make: object, most: int, loss: int) -> None:
    """Within `most` of GDCM's values, and within `loss` of those that were encoded."""
    itk = pytest.importorskip("SimpleITK")
    dataset = make()  # type: ignore[operator]
    path = save(dataset, tmp_path / "one.dcm")
    ours = read_values(path)[0][0].astype(int)
    theirs = itk.GetArrayFromImage(itk.ReadImage(str(path)))[0].astype(int)
    assert np.abs(ours - theirs).max() <= most
    assert np.abs(ours - scan(dataset.BitsStored)).max() <= loss


def test_lossless_jpeg_that_gdcm_wrote(tmp_path: Path) -> None:
    itk = pytest.importorskip("SimpleITK")
    writer = itk.ImageFileWriter()
    path = tmp_path / "one.dcm"
    writer.SetFileName(str(path))
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.Execute(itk.GetImageFromArray(scan()[None]))
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == JPEGLosslessSV1
    assert np.array_equal(read_values(path)[0][0], scan())


def test_12_bit_jpeg_of_a_device_agrees_with_gdcm() -> None:
    itk = pytest.importorskip("SimpleITK")
    path = PACKAGED / "JPGExtended.dcm"
    ours = read_values(path)[0][0]
    theirs = itk.GetArrayFromImage(itk.ReadImage(str(path))).reshape(ours.shape)
    assert np.abs(ours - theirs).max() <= 1


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_openjpeg_agrees_with_openjph(tmp_path: Path, syntax: str) -> None:
    codecs = pytest.importorskip("imagecodecs", reason="no encoder of HTJ2K")
    reversible = syntax != HTJ2K
    stream = codecs.htj2k_encode(scan(), level=None if reversible else 0.001, reversible=reversible)
    theirs = codecs.htj2k_decode(stream).astype(int)
    path = save(change(of_stream(scan(), 16, syntax, stream)), tmp_path / "one.dcm")
    ours = read_values(path)[0][0].astype(int)
    assert np.abs(ours - theirs).max() <= (0 if reversible else 1)
    if reversible:
        assert np.array_equal(ours, scan())


def test_hints_name_packages_that_are_tested_with() -> None:
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M))
    for syntax, packages in PACKAGES.items():
        assert " ".join(packages.values()).split() and pinned.issuperset(
            " ".join(packages.values()).split()
        )
        assert with_decoder(syntax).startswith("pip install ")
    assert set(JPEGTransferSyntaxes) <= set(PACKAGES)


def test_an_undecodable_frame_names_the_decoder_that_is_not_installed(tmp_path: Path) -> None:
    broken = by_pydicom(JPEG2000Lossless)
    stream = get_frame(broken.PixelData, 0, number_of_frames=1)
    broken.PixelData = encapsulate([stream[:150] + b"\xff\xd9"])
    with pytest.raises(UnreadableFile, match="pylibjpeg: ") as caught:
        shown(broken, tmp_path)
    hint = str(caught.value.fix)
    assert "pip install python-gdcm" in hint or hint == "fetch the file again"
    assert other_decoder(JPEG2000Lossless, ["pylibjpeg", "gdcm"]) == "fetch the file again"
    assert other_decoder(JPEGLSLossless, ["pylibjpeg"]).endswith("pip install pyjpegls")


@pytest.mark.parametrize(
    ("syntax", "what"),
    [("1.2.840.10008.1.2.4.100", "no decoder for MPEG2"), ("1.2.840.113619.5.2.1", "private")],
)
def test_a_syntax_without_any_decoder_says_to_export_again(
    tmp_path: Path, syntax: str, what: str
) -> None:
    dataset = of_stream(scan(8), 8, syntax, bytes(20))
    dataset.file_meta["TransferSyntaxUID"].value = syntax
    with pytest.raises(UnsupportedFormat, match=what) as caught:
        shown(dataset, tmp_path)
    assert "Explicit VR Little Endian" in str(caught.value.fix)
