"""Real images to write on, by modality, and those of them that bear writing already."""

from __future__ import annotations

import contextlib
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from qoqdata.contract.storage import Storage
from qoqdata.errors import QoqdataError
from qoqdata.readers.dicom import read_dicom
from qoqdata.readers.image.reader import read_image, to_uint8
from qoqdata.readers.video import FramePolicy, read_video
from qoqdata.readers.volume import percentile_range, read_volume
from qoqdata.records.storage import bounded, shrink_pixels

#: Shorter sides hold no line that a person could read.
SMALLEST_SIDE = 120
MODALITIES = {
    "radiograph": ("chest_xray", "dicom/xray", "dicom/seg/source_images/dx"),
    "mammogram": ("dicom/mammo",),
    "CT": ("dicom/ct", "nifti/kits23", "nifti/totalsegmentator_ct", "dicom/seg/source_images/ct"),
    "MR": ("dicom/mr", "metaimage/fixed", "metaimage/2DMRI"),
    "ultrasound": ("ultrasound/COVID-BLUES", "ultrasound/pocus", "dicom/us"),
    "dermoscopy": ("dermoscopy/ham10000_small/images", "dermoscopy/isic"),
    "fundus": ("fundus",),
    "histology": ("histology",),
}
_NOT_IMAGES = ("mask", "HO.png", "seg", "1stHO", "2ndHO", "annotation")
#: Files that bear writing of their own beyond a marker of one or two letters.
WRITTEN = (
    *("61bc50d1", "87d50e40", "b343e657", "6904.1517875201", "Fake_MONOHR1", "00000001_000"),
    *("OBXXXX1A", "examples_ybr", "US1_J2KI", "examples_rgb", "examples_jpeg2k", "2_ORIGINAL"),
)
#: Files of one patient or clip, told by the beginning of their name, belong to one half.
_KIN = re.compile(r"(CT1|MR4|RG3|patient_\d+|Image_\d+|examples)")
_IMAGES = (".png", ".jpg", ".jpeg")
_VIDEOS = (".mp4", ".avi", ".gif", ".mov", ".mpeg")


class Picture(NamedTuple):
    """An image as a build stores it: uint8 (rows, columns, 3)."""

    name: str
    modality: str
    pixels: np.ndarray


def is_written(picture: Picture) -> bool:
    """Whether the image bears text before anything is burned into it."""
    return any(name in picture.name for name in WRITTEN)


def is_held_out(picture: Picture) -> bool:
    """Whether the weights of the screen must not have seen the image: half of all, by name."""
    name = Path(picture.name.partition("#")[0]).name
    kin = _KIN.match(name)
    return bool(zlib.crc32((kin[0] if kin else name).encode()) & 1)


def pictures(root: Path, *, most: int) -> list[Picture]:
    """At most `most` images of each modality, spread evenly over its files."""
    found = []
    for modality, folders in MODALITIES.items():
        files = [
            path
            for path in sorted(root.rglob("*"))
            if path.is_file()
            and str(path.relative_to(root)).startswith(folders)
            and not any(part in path.name for part in _NOT_IMAGES)
        ]
        own = [picture for path in files for picture in _of_file(path, root, modality)]
        step = max(1, -(-len(own) // most))
        found += own[::step]
    return found


def _of_file(path: Path, root: Path, modality: str) -> Iterator[Picture]:
    with contextlib.suppress(QoqdataError):
        for number, pixels in enumerate(_pixels(path)):
            if min(pixels.shape[:2]) < SMALLEST_SIDE:
                continue
            colour = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
            size = bounded((colour.shape[1], colour.shape[0]), Storage().max_pixels)
            name = f"{path.relative_to(root)}#{number}"
            yield Picture(
                name, modality, shrink_pixels(np.ascontiguousarray(colour[..., :3]), size)
            )


def _pixels(path: Path) -> Iterator[np.ndarray]:
    suffix = path.suffix.lower()
    if suffix in _IMAGES:
        yield to_uint8(read_image(path).pixels)
    elif suffix in _VIDEOS:
        yield from read_video(path, choose=FramePolicy("uniform", count=2)).frames
    elif ".nii" in path.name or suffix in (".mhd", ".mha"):
        voxels = np.squeeze(read_volume(path).voxels)
        planes = [voxels] if voxels.ndim == 2 else [
            np.take(voxels, voxels.shape[axis] // 2, axis) for axis in range(3)
        ]  # fmt: skip
        for plane in planes:
            low, high = percentile_range(plane)
            grey = (plane - low) / max(high - low, 1e-6) * 255
            yield np.clip(np.round(grey), 0, 255).astype(np.uint8)
    elif suffix in ("", ".dcm"):
        yield from (to_uint8(frame) for frame in read_dicom(path).frames[:2])
