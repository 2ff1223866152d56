"""Ways from a DICOM file to JPEG bytes; each takes a path, and returns bytes or an array."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np


def qoqdata(path: Path) -> bytes:
    """This package: the fused grey chain, then JPEG at quality 95."""
    from qoqdata.readers import dicom, encode

    return encode.jpeg(dicom.read_dicom(path).frames[0], quality=95)


def qoqdata_stored(path: Path) -> np.ndarray:
    """This package's 8-bit frame, without the encoder."""
    from qoqdata.readers import dicom

    return dicom.read_dicom(path).frames[0]


def pydicom_idiom(path: Path) -> bytes:
    """What most scripts do: modality and VOI LUT over the whole array, min-max stretch, JPEG."""
    import pydicom
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    dataset = pydicom.dcmread(path)
    values = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset)
    values = (values - values.min()) / (values.max() - values.min()) * 255
    return _jpeg(values.astype(np.uint8))


def highdicom(path: Path) -> bytes:
    """highdicom's frame with the VOI transform, scaled to 8 bit, JPEG."""
    import highdicom as hd

    frame = hd.imread(path).get_frame(1, apply_voi_transform=True, voi_output_range=(0, 255))
    return _jpeg(np.clip(frame + 0.5, 0, 255).astype(np.uint8))


def dicom2jpg(path: Path) -> None:
    """dicom2jpg, which writes a file at quality 95."""
    import dicom2jpg as peer

    with tempfile.TemporaryDirectory() as folder:
        peer.dicom2jpg(str(path), target_root=folder, multiprocessing=False)


def dicomsdl_stored(path: Path) -> np.ndarray:
    """dicomsdl: stored values only, no grey chain; a floor for the decoder."""
    import dicomsdl

    return dicomsdl.open(str(path)).pixelData(storedvalue=True)


CONTENDERS = {
    "qoqdata": qoqdata,
    "dicom2jpg": dicom2jpg,
    "pydicom idiom": pydicom_idiom,
    "highdicom": highdicom,
}
#: Parts of the way.
PARTS = {"qoqdata, no JPEG": qoqdata_stored, "dicomsdl, stored values": dicomsdl_stored}
#: Functions inside which decoders (RLE, JPEG-LS, JPEG 2000) and the encoder do their work; those
#: that read uncompressed pixels from the file, and take stored values to grey.
CODECS = ("decode_frame", "decode_buffer", "decode_pixel_data", "imencode")
PIXELS = ("readinto", "LUT")


def _jpeg(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
