"""Other windows of an image, from the raw files that its record names, where these are at hand.

Nothing is guessed: an image is shown so only where its files have the digest that the record has,
and where the slice that they give is the one that the record stores (`qoqdata.viewer.raw_planes`).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from qoqdata.drawing.pixels import Drawing
from qoqdata.errors import InputError, QoqdataError
from qoqdata.readers.dicom import CT_WINDOWS, Window
from qoqdata.records.identity import Salt, keyed
from qoqdata.sources.rawtree import RawTree
from qoqdata.viewer.raw_planes import RawFiles, RawPlane, window_of_range

#: Windows of values in HU; two names of the same values are one choice.
PRESETS = tuple({(one.centre, one.width): name for name, one in CT_WINDOWS.items()}.values())
#: Windows of other values: percentiles of the slice that is shown.
PERCENTILES = {
    "percentiles 0.5 to 99.5": (0.5, 99.5),
    "percentiles 2 to 98": (2.0, 98.0),
    "percentiles 10 to 90": (10.0, 90.0),
    "lowest to highest": (0.0, 100.0),
}
#: The file's own window or table.
OWN = "as the file says"
#: Records whose raw files are kept open.
_FILES = 2


class RawWindows:
    """`folders` are raw folders by source; with the `salt` of the build also of private sources,
    whose records name keyed hashes of paths. Any thread may ask, one at a time reads."""

    def __init__(self, folders: Mapping[str, Path], salt: Salt | None = None) -> None:
        self.folders, self.salt = folders, salt
        self._named: dict[str, dict[str, str]] = {}
        self._files: OrderedDict[tuple[Any, ...], RawFiles] = OrderedDict()
        self._lock = threading.Lock()

    def presets(self, record: Mapping[str, Any], number: int) -> tuple[str, ...]:
        """The windows that an image can be shown through: presets in HU where the values are
        that, else percentiles and what the file says. None where the raw files are not at hand,
        are others, or do not give the image again."""
        try:
            return _names(self._plane(record, number))
        except (QoqdataError, OSError):
            return ()

    def drawn(self, record: Mapping[str, Any], number: int, window: str) -> Drawing:
        """The image through a window, upright and with square pixels as it is stored, as PNG.

        Raises InputError where it cannot be.
        """
        plane = self._plane(record, number)
        if window not in _names(plane):
            raise InputError(f"there is no window {window!r}", where=f"record {record['id']}")
        with BytesIO() as stream:
            pixels = plane.shown(_window(plane, window))
            Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
            return Drawing(stream.getvalue(), "image/png")

    def _plane(self, record: Mapping[str, Any], number: int) -> RawPlane:
        made, infos = record["provenance"] or {}, record["image_info"] or []
        raw, folder = made.get("raw") or [], self.folders.get(record["source"])
        if number >= len(infos) or not raw or folder is None:
            raise InputError("is not shown from its raw files", where=f"record {record['id']}")
        with self._lock:
            tree = RawTree(folder)
            raw = self._paths(tree, record["source"], raw)
            paths = tuple(tree.resolve(one) for one in raw)
            states = tuple((s.st_ino, s.st_size, s.st_mtime_ns) for s in map(Path.stat, paths))
            key = (*paths, *states, made["digest"])
            if key not in self._files:
                if tree.digest(raw) != made["digest"]:
                    raise InputError("is not the file that was converted", where=raw[0])
                self._files[key] = RawFiles(paths)
                while len(self._files) > _FILES:
                    self._files.popitem(last=False)
            return self._files[key].plane(record, number)

    def _paths(self, tree: RawTree, source: str, raw: Sequence[str]) -> Sequence[str]:
        """The paths that a record names, also where it names their keyed hashes."""
        if self.salt is None or all(tree.exists(one) for one in raw):
            return raw
        if source not in self._named:
            salt = self.salt
            self._named[source] = {
                keyed("path", source, path, salt=salt): path for path in tree.files("*")
            }
        return [self._named[source].get(one, one) for one in raw]


def _names(plane: RawPlane) -> tuple[str, ...]:
    if plane.hounsfield:
        return PRESETS
    return (*((OWN,) if plane.is_dicom else ()), *PERCENTILES)


def _window(plane: RawPlane, name: str) -> Window | str | None:
    if name in PERCENTILES:
        low, high = np.percentile(plane.values(), PERCENTILES[name])
        return window_of_range(float(low), float(high))
    return None if name == OWN else name


#: Where nobody said where raw files are.
NO_RAW = RawWindows({})
