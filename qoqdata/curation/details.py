"""The detail of images: what is left of a grey image when its coarse shades are taken off."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from itertools import chain
from tempfile import TemporaryFile
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata import items
from qoqdata.dataset import Dataset
from qoqdata.records.likeness import THUMBNAIL
from qoqdata.stream.decode import Decoder
from qoqdata.threads import computed

_Scalar = TypeVar("_Scalar", bound=np.generic)
#: Rows and columns of the images whose detail is compared.
SIDE = 64


class ImageViews(Generic[_Scalar]):
    """What `make` gives of the RGB pixels of images, by content; all of one shape.

    Each image is read and decoded once: in a crowd one is asked for again and again, long after
    memory has had to make room. So views lie in a file without a name, where `TMPDIR` says.
    """

    def __init__(
        self,
        dataset: Dataset,
        distinct: pl.DataFrame,
        make: Callable[[NDArray[np.uint8]], NDArray[_Scalar]],
    ) -> None:
        self._dataset, self._distinct, self._make = dataset, distinct, make
        self._places = items.places_of(dataset.manifest)
        self._decode = Decoder(images="array")
        self._file = TemporaryFile()  # noqa: SIM115 - the next line closes it
        weakref.finalize(self, self._file.close)
        self._slots: dict[int, int] = {}
        #: Of all views: an array of one shape and type.
        self._like: NDArray[_Scalar] | None = None

    def of(self, numbers: NDArray[np.integer]) -> list[NDArray[_Scalar]]:
        """The views of some contents, in their order.

        Raises InputError for an image that cannot be decoded.
        """
        self.prepare(numbers)
        return [self._kept(self._slots[number]) for number in numbers.tolist()]

    def prepare(self, numbers: NDArray[np.integer]) -> None:
        """Take the views of these contents in the order in which they lie: asked for pair by pair,
        what is read for one is read again for its neighbour."""
        missing = [number for number in np.unique(numbers).tolist() if number not in self._slots]
        shards = self._distinct[missing].partition_by("shard", maintain_order=True)
        # A cache need not have room for two shards.
        side_by_side = computed if self._dataset.files.in_folder else map
        taken = chain.from_iterable(side_by_side(self._taken, shards))
        for number, view in zip(missing, taken, strict=True):
            self._like = view
            self._file.write(view.tobytes())
            self._slots[number] = len(self._slots)
        self._file.flush()

    def _kept(self, slot: int) -> NDArray[_Scalar]:
        assert self._like is not None
        size = self._like.nbytes
        content = os.pread(self._file.fileno(), size, slot * size)
        return np.frombuffer(content, self._like.dtype).reshape(self._like.shape)

    def _taken(self, some: pl.DataFrame) -> list[NDArray[_Scalar]]:
        """Of contents of one shard."""
        rows = items.read_records(
            self._dataset.files,
            self._dataset.manifest,
            self._places[some["record"].to_numpy()],
            ["id", "images"],
        )
        return [self._view(*one) for one in zip(rows, some["place"].to_list(), strict=True)]

    def _view(self, row: dict[str, Any], place: int) -> NDArray[_Scalar]:
        shown = self._decode({"id": row["id"], "images": [row["images"][place]]})
        return self._make(shown["images"][0])


def small_grey(pixels: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.uint8]:
    """The grey image (side, side) of RGB pixels (rows, columns, 3); details are taken of 64."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def small_greys(dataset: Dataset, distinct: pl.DataFrame) -> ImageViews[np.uint8]:
    """The grey images (64, 64) of the images of a data set by content."""
    return ImageViews(dataset, distinct, small_grey)


def details_of(dataset: Dataset, distinct: pl.DataFrame) -> ImageViews[np.float32]:
    """The details (4096,) of the images of a data set by content."""
    return ImageViews(dataset, distinct, lambda pixels: detail_of(small_grey(pixels)))


def detail_of(small: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Of a small grey image: 4096 values of length 1, or all 0 without detail."""
    grey = small.astype(np.float32)
    fine = (grey - cv2.GaussianBlur(grey, (0, 0), SIDE / THUMBNAIL)).ravel()
    return np.asarray(fine / np.maximum(np.linalg.norm(fine), 1e-6), np.float32)
