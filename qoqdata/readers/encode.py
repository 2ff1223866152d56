"""Pixels to encoded bytes; deterministic, without metadata."""

from __future__ import annotations

import numpy as np


def png(pixels: np.ndarray) -> bytes:
    """Lossless PNG of uint8 pixels, (rows, columns) grey or (rows, columns, 3) RGB.

    Raises ValueError for any other dtype or shape: scaling is the caller's decision.
    """
    _check(pixels, (np.uint8,), (2, 3))
    return _encode(".png", pixels, [])


def label_png(codes: np.ndarray) -> bytes:
    """Lossless grey PNG of a label map, (rows, columns) uint8 or uint16, codes unchanged.

    Raises ValueError for any other dtype or shape.
    """
    _check(codes, (np.uint8, np.uint16), (2,))
    return _encode(".png", codes, [])


def jpeg(pixels: np.ndarray, quality: int = 95) -> bytes:
    """Baseline JPEG of uint8 pixels, grey or RGB, colour kept at full resolution (4:4:4).

    Small red lesions lose their colour when chroma is halved, hence no subsampling. Raises
    ValueError for any other dtype or shape and for a quality outside 1 to 100.
    """
    import cv2

    _check(pixels, (np.uint8,), (2, 3))
    if not 1 <= quality <= 100:
        raise ValueError(f"quality must be 1 to 100, not {quality}")
    settings = [cv2.IMWRITE_JPEG_QUALITY, quality]
    if pixels.ndim == 3:
        settings += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode(".jpg", pixels, settings)


def _check(pixels: np.ndarray, dtypes: tuple[type, ...], dimensions: tuple[int, ...]) -> None:
    if pixels.dtype not in dtypes:
        raise ValueError(
            f"pixels must be {' or '.join(d.__name__ for d in dtypes)}, not {pixels.dtype}"
        )
    if pixels.ndim not in dimensions or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ValueError(f"pixels of shape {pixels.shape} are neither grey nor RGB")
    if pixels.size == 0:
        raise ValueError(f"pixels of shape {pixels.shape} are empty")


def _encode(suffix: str, pixels: np.ndarray, settings: list[int]) -> bytes:
    import cv2

    if pixels.ndim == 3:
        pixels = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2BGR)
    success, buffer = cv2.imencode(suffix, pixels, settings)
    if not success:
        raise ValueError(f"pixels of shape {pixels.shape} cannot be encoded as {suffix}")
    return buffer.tobytes()
