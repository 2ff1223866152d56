"""The detail of images: what is left of a grey image when its coarse shades are taken off."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import cv2
import numpy as np
import polars as pl
from numpy.typing import NDArray

from qoqdata import items
from qoqdata.dataset import Dataset
from qoqdata.records.likeness import THUMBNAIL
from qoqdata.stream.decode import Decoder

_Scalar = TypeVar("_Scalar", bound=np.generic)
#: Rows and columns of the images whose detail is compared.
SIDE = 64
#: Bytes of views that are kept for the next pairs that they are in.
_KEPT = 256 * 2**20
#: Images that are taken at once.
_AT_ONCE = 1_024


class ImageViews(Generic[_Scalar]):
    """What `make` gives of the RGB pixels of images, by content, decoded when first asked for."""

    def __init__(
        self,
        dataset: Dataset,
        distinct: pl.DataFrame,
        make: Callable[[NDArray[np.uint8]], NDArray[_Scalar]],
    ) -> None:
        self._dataset, self._distinct, self._make = dataset, distinct, make
        self._places = items.places_of(dataset.manifest)
        self._decode = Decoder(images="array")
        self._kept: OrderedDict[int, NDArray[_Scalar]] = OrderedDict()

    def of(self, numbers: NDArray[np.integer]) -> list[NDArray[_Scalar]]:
        """The views of some contents, in their order.

        Raises InputError for an image that cannot be decoded.
        """
        wanted = numbers.tolist()
        missing = [number for number in wanted if number not in self._kept]
        self._take(self._distinct[missing])
        for number in wanted:
            self._kept.move_to_end(number)
        views = [self._kept[number] for number in wanted]
        while views and len(self._kept) * views[0].nbytes > _KEPT:
            self._kept.popitem(last=False)
        return views

    def prepare(self, numbers: NDArray[np.integer]) -> None:
        """Take the views of as many of these contents as are kept, in the order in which they lie:
        asked for pair by pair, what is read for one is read again for its neighbour."""
        numbers = np.unique(numbers)
        for start in range(0, len(numbers), _AT_ONCE):
            views = self.of(numbers[start : start + _AT_ONCE])
            if (len(self._kept) + _AT_ONCE) * views[0].nbytes > _KEPT:
                return

    def _take(self, some: pl.DataFrame) -> None:
        rows = items.read_records(
            self._dataset.files,
            self._dataset.manifest,
            self._places[some["record"].to_numpy()],
            ["id", "images"],
        )
        for row, (content, place) in zip(
            rows, some.select("content", "place").iter_rows(), strict=True
        ):
            shown = self._decode({"id": row["id"], "images": [row["images"][place]]})
            self._kept[content] = self._make(shown["images"][0])


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
