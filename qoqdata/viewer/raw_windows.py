"""Other windows of an image, from the raw file that its record names, where that file is at hand.

Nothing is guessed: only a record of one DICOM file is shown so, whose frame the record tells, and
only where the file has the digest that the record has. Slices that were chosen among the files of a
series are not, since a record does not say which of them is which.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from qoqdata.drawing.pixels import Drawing
from qoqdata.errors import InputError, QoqdataError
from qoqdata.readers.dicom import CT_WINDOWS, DicomImage, read_windows
from qoqdata.sources.rawtree import RawTree

#: Windows that are offered, in HU; two names of the same values are one choice.
PRESETS = tuple({(one.centre, one.width): name for name, one in CT_WINDOWS.items()}.values())


@dataclass(frozen=True)
class RawWindows:
    """`folders` are raw folders by source."""

    folders: Mapping[str, Path]

    def presets(self, record: Mapping[str, Any], number: int) -> tuple[str, ...]:
        """The windows that an image can be shown through; none where the raw file is not at hand,
        is another one, or holds no Hounsfield units."""
        try:
            self._read(record, number, PRESETS[0])
        except (QoqdataError, OSError):
            return ()
        return PRESETS

    def drawn(self, record: Mapping[str, Any], number: int, window: str) -> Drawing:
        """The image through a window, upright and with square pixels as it is stored, as PNG.

        Raises InputError where it cannot be.
        """
        image = self._read(record, number, window)
        with BytesIO() as stream:
            Image.fromarray(image.frames[0]).save(stream, "PNG", compress_level=1)
            return Drawing(stream.getvalue(), "image/png")

    def _read(self, record: Mapping[str, Any], number: int, window: str) -> DicomImage:
        made, infos = record["provenance"] or {}, record["image_info"] or []
        raw, folder = made.get("raw") or [], self.folders.get(record["source"])
        if window not in PRESETS or number >= len(infos) or len(raw) != 1 or folder is None:
            raise InputError("is not shown from its raw file", where=f"record {record['id']}")
        tree = RawTree(folder)
        path = tree.resolve(raw[0])
        if tree.digest(raw) != made["digest"]:
            raise InputError("is not the file that was converted", where=raw[0])
        frame = infos[number]["index"] or 0
        (image,) = read_windows(path, [window], frames=lambda _: [frame])
        return image


#: Where nobody said where raw files are.
NO_RAW = RawWindows({})
