"""What an image or a signal is recognised by, and how good it is: taken while its pixels are at
hand, so that no later pass has to decode millions of files again.

Four things recognise an image. Its digest finds equal pixels. 64 bits find what is all but equal
however it is encoded, scaled, windowed, flipped or turned by a quarter: they are made of magnitudes
of low frequencies, which a flip leaves alone, summed with those of the transposed image. A small
grey image tells the flip and the turn, and whether two with close bits are alike at all. Words for
what is around its keypoints find copies that were cropped. A signal's
are those of the squares of its leads, each at unit variance and summed, over its own duration: what
gain, offset, order of leads and sampling rate leave as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
import xxhash
from numpy.typing import NDArray

from qoqdata.records.content import Ecg
from qoqdata.records.keypoints import SIDE as KEYPOINTS_SIDE
from qoqdata.records.keypoints import keypoints

#: Rows and columns of the small grey image that is kept, and of the one that bits are made of.
THUMBNAIL, _SIDE = 16, 32
#: Larger images are shrunk first, to no less than so many pixels, as the root of the area.
_SHRUNK = KEYPOINTS_SIDE
#: Frequencies along an axis: of pairs without regard to order, less the mean, 65 are left.
_FREQUENCIES = 11
_BITS = 64
#: Standard deviation in grey levels below which an image shows nothing to tell it by.
_FLAT = 2.0
#: Standard deviation in mV below which a lead shows nothing; float32 gives a constant one some.
_QUIET = 1e-4
#: Parts of a recording whose energy makes its bits, and samples of its small curve.
CURVE = THUMBNAIL * THUMBNAIL


Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True)
class Likeness:
    """`digest` of the pixels or samples; `bits`, None for what is uniform; `thumbnail`, 256 uint8
    of a grey image (16, 16) or of a curve over time.

    `deviation` is the standard deviation, in grey levels or mV; `dark` and `bright` are the shares
    of values at the lower and upper end: 0 and 255, of a signal each lead's least and largest.
    `keypoints` are those of `keypoints.py`, of an image that is not uniform and no smaller than
    what they are looked for in.
    """

    digest: bytes
    bits: int | None
    thumbnail: bytes
    deviation: float
    dark: float
    bright: float
    keypoints: bytes | None = None


class Sight(NamedTuple):
    """What is taken of an image while its pixels are at hand, of which `likenesses` makes the rest
    for many at once: numpy takes longer to be called than for the work of one.

    `small` is the grey image (32, 32).
    """

    small: NDArray[np.uint8]
    digest: bytes
    deviation: float
    dark: float
    bright: float
    keypoints: bytes | None


def image_likeness(pixels: NDArray[np.uint8], encoded: bytes | None = None) -> Likeness:
    """Of uint8 pixels (rows, columns) or (rows, columns, 3) RGB; of equal channels as of one.

    `encoded` is digested in place of the pixels, where encoding loses something: it is a function
    of them, and what a later reader decodes is not.
    """
    return likenesses([image_sight(pixels, encoded)])[0]


def image_sight(pixels: NDArray[np.uint8], encoded: bytes | None = None) -> Sight:
    """As `image_likeness`, what is taken of the pixels."""
    import cv2

    pixels = _one_channel_if_equal(pixels)
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels
    shrunk = _shrunk(np.asarray(grey, np.uint8))
    small = np.asarray(cv2.resize(shrunk, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA), np.uint8)
    _, deviation = cv2.meanStdDev(grey)
    large = grey.size >= KEYPOINTS_SIDE**2
    return Sight(
        small,
        _digest(pixels) if encoded is None else xxhash.xxh3_128_digest(encoded),
        float(deviation[0, 0]),
        1 - cv2.countNonZero(grey) / grey.size,
        (grey.size - cv2.countNonZero(cv2.bitwise_not(grey))) / grey.size,
        keypoints(_of_area(shrunk, KEYPOINTS_SIDE)) if large and _tell(small[None])[0] else None,
    )


def likenesses(seen: Sequence[Sight | Likeness]) -> list[Likeness]:
    """The likeness of each image; of a signal, which has its own already, the same."""
    sights = [one for one in seen if isinstance(one, Sight)]
    if not sights:
        return [one for one in seen if isinstance(one, Likeness)]
    small = np.stack([one.small for one in sights])
    bits = _bits(_frequencies(small.astype(np.float64)))
    # Rows by rows and columns by columns: numpy is slow to sum along two short axes at once.
    pairs = small[:, ::2].astype(np.uint16) + small[:, 1::2]
    thumbnails = np.rint((pairs[:, :, ::2] + pairs[:, :, 1::2]) / 4).astype(np.uint8)
    made = iter(zip(bits, _tell(small).tolist(), thumbnails, strict=True))
    found = []
    for one in seen:
        if isinstance(one, Sight):
            own, telling, thumbnail = next(made)
            one = Likeness(one.digest, own if telling else None, thumbnail.tobytes(), *one[2:])
        found.append(one)
    return found


def signal_likeness(ecg: Ecg) -> Likeness:
    """Of a recording; samples that are not valid count as the lead's mean."""
    signal, usable = ecg.signal, ecg.valid & np.isfinite(ecg.signal)
    if not usable.all():
        counts = np.maximum(usable.sum(axis=1, keepdims=True), 1)
        means = np.where(usable, signal, 0).sum(axis=1, keepdims=True) / counts
        signal = np.where(usable, signal, means).astype(np.float32)
    around = signal - signal.mean(axis=1, keepdims=True)
    variance = np.einsum("ls,ls->l", around, around, dtype=np.float64) / max(signal.shape[1], 1)
    weight = np.divide(1, variance, out=np.zeros_like(variance), where=variance > _QUIET**2)
    energy = np.einsum("ls,ls,l->s", around, around, weight.astype(np.float32))
    curve = np.sqrt(_means(energy, CURVE))
    top = float(curve.max())
    ends = (signal.min(axis=1, keepdims=True), signal.max(axis=1, keepdims=True))
    lowest, highest = (np.count_nonzero(signal == end) / max(signal.size, 1) for end in ends)
    return Likeness(
        _digest(ecg.signal),
        _bits(np.diff(_means(energy, _BITS + 1))[None])[0] if top > 0 else None,
        np.rint(curve * (255 / top) if top > 0 else curve).astype(np.uint8).tobytes(),
        float(np.sqrt(variance).mean()),
        float(lowest),
        float(highest),
    )


def _shrunk(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A large image halved as often as it can be, which takes a tenth of the time of another
    factor; of rows and columns that are left over, half are trimmed on each side: one in 72."""
    if grey.size < (2 * _SHRUNK) ** 2:
        return grey
    import cv2

    times = int(np.log2(np.sqrt(grey.size) / _SHRUNK))
    times = min(times, int(np.log2(min(grey.shape))))
    rows, columns = (side >> times << times for side in grey.shape)
    top, left = (grey.shape[0] - rows) // 2, (grey.shape[1] - columns) // 2
    shrunk = grey[top : top + rows, left : left + columns]
    for _ in range(times):
        rows, columns = rows // 2, columns // 2
        half = cv2.resize(shrunk, (columns, rows), interpolation=cv2.INTER_AREA)
        shrunk = np.asarray(half, np.uint8)
    return shrunk


def _of_area(grey: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """An image of the same shape and about `side` squared pixels, at least 16 along an axis."""
    import cv2

    factor = side / np.sqrt(grey.size)
    rows, columns = (max(16, round(length * factor)) for length in grey.shape)
    smooth = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(grey, (columns, rows), interpolation=smooth), np.uint8)


def turned(thumbnail: NDArray[Scalar]) -> NDArray[Scalar]:
    """The eight ways (8, n, n) an image (n, n) can lie, named by WAYS."""
    quarters = [np.rot90(thumbnail, turns) for turns in range(4)]
    return np.stack([view for one in quarters for view in (one, one[:, ::-1])])


#: How an image lies against another: quarter turns counter-clockwise, then flipped left to right.
WAYS = (
    *("upright", "flipped"),
    *("turned 90", "turned 90 and flipped"),
    *("turned 180", "turned 180 and flipped"),
    *("turned 270", "turned 270 and flipped"),
)


def _one_channel_if_equal(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A grey image stored as colour is the same image; most colour shows at a few pixels."""
    if pixels.ndim == 2:
        return pixels
    for part in (pixels[:: max(1, len(pixels) // 8)], pixels):
        first = part[..., 0]
        if not (np.array_equal(first, part[..., 1]) and np.array_equal(first, part[..., 2])):
            return pixels
    return np.ascontiguousarray(pixels[..., 0])


def _digest(values: NDArray[np.generic]) -> bytes:
    """Of shape and values: the same bytes in another shape are other pixels."""
    hasher = xxhash.xxh3_128(str(values.shape).encode())
    hasher.update(np.ascontiguousarray(values).data)
    return hasher.digest()


def _tell(small: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Whether the standard deviation of each of (n, 32, 32) is no less than _FLAT."""
    # Whole numbers below 2**53, in which floats are exact in any order.
    values = small.reshape(len(small), -1).astype(np.float64)
    count, total = values.shape[1], values.sum(axis=1)
    squares = np.einsum("ij,ij->i", values, values)
    return np.asarray(count * squares - total * total >= (_FLAT * count) ** 2)


def _frequencies(small: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each of (n, 32, 32) and its transposed together 64 magnitudes of low frequencies."""
    magnitudes = np.abs(_COSINES @ small @ _COSINES.T)
    both = magnitudes + magnitudes.transpose(0, 2, 1)
    return np.asarray(both.reshape(len(small), -1)[:, _UPPER])


def _cosines() -> NDArray[np.float64]:
    """The first rows of the orthonormal DCT-II: no other frequencies are used."""
    waves = np.cos(np.pi / _SIDE * np.outer(np.arange(_FREQUENCIES), np.arange(_SIDE) + 0.5))
    waves[0] /= np.sqrt(2)
    return np.asarray(waves * np.sqrt(2 / _SIDE))


_COSINES = _cosines()
#: Places of the upper triangle in the flattened frequencies, without that of the mean.
_UPPER = np.ravel_multi_index(np.triu_indices(_FREQUENCIES), (_FREQUENCIES,) * 2)[1 : _BITS + 1]


def _bits(values: NDArray[np.floating]) -> list[int]:
    """Of each row its 64 values against their median."""
    ordered = np.sort(values, axis=1)
    middle = (ordered[:, _BITS // 2 - 1] + ordered[:, _BITS // 2]) / 2
    packed = np.packbits(values > middle[:, None], axis=1)
    return [int.from_bytes(row.tobytes(), "big") for row in packed]


def _means(values: NDArray[np.floating], parts: int) -> NDArray[np.float64]:
    """The mean of each of `parts` equal stretches of a curve; ends may lie between samples."""
    total = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    ends = np.linspace(0, len(values), parts + 1)
    means: NDArray[np.float64] = np.diff(np.interp(ends, np.arange(len(total)), total))
    return means * parts / max(len(values), 1)
