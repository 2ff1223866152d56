"""Images of a record as the arrays that an image processor takes."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import InputError


def rgb(image: Any, where: str) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) of a decoded image, of a PIL image, or of encoded bytes.

    Grey images get three equal channels; an opaque fourth channel is dropped. Raises InputError
    for another shape or type, for transparency, and for bytes that no decoder reads.
    """
    if isinstance(image, dict):
        image = image["bytes"]
    if isinstance(image, bytes | bytearray | memoryview):
        image = _decoded(bytes(image), where)
    array = np.asarray(image)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or not array.size:
        raise InputError(f"an image of {array.dtype} {array.shape}", where=where)
    if array.ndim == 2:
        array = array[..., None]
    if array.shape[2] == 4 and not (array[..., 3] == 255).all():
        raise InputError("a transparent image", where=where)
    if array.shape[2] == 1:
        return np.repeat(array, 3, axis=2)
    if array.shape[2] not in (3, 4):
        raise InputError(f"an image of {array.shape[2]} channels", where=where)
    return array[..., :3]


def require_decodable(width: int, height: int, where: str) -> None:
    """Raise InputError for an image of so many pixels that Pillow takes it for an attack."""
    from PIL import Image

    most = 2 * (Image.MAX_IMAGE_PIXELS or 2**62)
    if width * height > most:
        raise InputError(f"an image of {width} x {height}, over {most:,} pixels", where=where)


def _decoded(data: bytes, where: str) -> Any:
    from io import BytesIO

    from PIL import Image, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # At half of what it refuses Pillow warns; sizes were checked where they are stored.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            file = Image.open(BytesIO(data))
        with file:
            return np.asarray(file.convert("L" if file.mode in ("L", "1") else "RGB"))
    except Image.DecompressionBombError as error:
        raise InputError("an image of too many pixels", where=where) from error
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError) as error:
        raise InputError("an image that no decoder reads", where=where) from error
