"""The work that no reader can leave out: the decoder of a frame and the JPEG encoder, alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jpeg_ls
import numpy as np
import pydicom
from openjpeg import decode_pixel_data as decode_jpeg_2000
from pydicom.encaps import get_frame
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless
from rle.rle import decode_frame as decode_rle

from qoqdata.readers import dicom, encode


@dataclass(frozen=True)
class Work:
    """What decodes one file's frame, from memory, and the 8-bit pixels that are encoded."""

    decode: Callable[[], object]
    pixels: np.ndarray


def work(path: Path) -> Work:
    """The decoder and encoder work of a file of `dicom_sets`; native pixels need no decoder."""
    dataset = pydicom.dcmread(path)
    pixels = dicom.read(path).frames[0]
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_encapsulated:
        return Work(lambda: None, pixels)
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    decoders: dict[str, Callable[[], object]] = {
        RLELossless: lambda: decode_rle(frame, pixels.size, 16, "<"),
        JPEGLSLossless: lambda: jpeg_ls.decode_pixel_data(frame),
        JPEG2000Lossless: lambda: decode_jpeg_2000(frame, version=2),
    }
    return Work(decoders[syntax], pixels)


def codec_and_encoder(one: Work) -> bytes:
    """Decode and encode, nothing else."""
    one.decode()
    return encode.jpeg(one.pixels, quality=95)
