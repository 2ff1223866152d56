"""Sizes and codes of the WFDB storage formats, after signal(5) of the WFDB Applications Guide."""

from __future__ import annotations

BITS = {
    "8": 8,
    "16": 16,
    "24": 24,
    "32": 32,
    "61": 16,
    "80": 8,
    "160": 16,
    "212": 12,
    "310": 10,
    "311": 10,
    "508": 8,
    "516": 16,
    "524": 24,
}
"""Stored bits per sample of every format that can be read; in format 8 the bits of a difference."""

FLAC = frozenset({"508", "516", "524"})
NULL = "0"
DIFFERENCE = "8"


def bytes_for(fmt: str, samples: int) -> int:
    """Bytes that hold `samples` samples of an uncompressed format, without final padding."""
    if fmt == "212":
        return (samples * 3 + 1) // 2
    if fmt in ("310", "311"):
        words, rest = divmod(samples, 3)
        return words * 4 + (0, 2, 4 if fmt == "310" else 3)[rest]
    return samples * BITS[fmt] // 8


def samples_in(fmt: str, size: int) -> int:
    """The most samples of an uncompressed format that `size` bytes can hold."""
    if fmt == "212":
        return size * 2 // 3
    if fmt in ("310", "311"):
        words, rest = divmod(size, 4)
        return words * 3 + (0, 0, 1, 1 if fmt == "310" else 2)[rest]
    return size * 8 // BITS[fmt]


def padding(fmt: str) -> int:
    """Bytes a writer may add after the last sample to fill a packed group."""
    return {"212": 2, "310": 3, "311": 3}.get(fmt, 0)


def missing_code(fmt: str) -> int | None:
    """The stored value that marks a missing sample: the lowest of the range; None in format 8."""
    return None if fmt == DIFFERENCE else -(1 << (BITS[fmt] - 1))


def rails(fmt: str, resolution: int, zero: int, low: int, high: int) -> tuple[int, int] | None:
    """Stored values at which the converter saturates, lowest and highest.

    The declared ADC range (`resolution` bits around `zero`) when it is narrower than the format and
    the observed range `low`..`high` keeps to it; otherwise the range of the format, whose lowest
    value is the missing code. None in format 8, which has no range.
    """
    if fmt == DIFFERENCE:
        return None
    bits = BITS[fmt]
    if 0 < resolution < bits:
        bottom, top = zero - (1 << (resolution - 1)), zero + (1 << (resolution - 1)) - 1
        if bottom <= low and high <= top:
            return bottom, top
    return -(1 << (bits - 1)) + 1, (1 << (bits - 1)) - 1
