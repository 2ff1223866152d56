"""From stored values to 8-bit grey: modality, VOI and presentation (PS3.3 C.11.1, C.11.2, C.11.6).

Pure numpy, no datasets. All functions work on arrays of any shape; for images of up to 16 bits
they are run once over every value that a pixel can have, and the image is then one table lookup.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError

FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")


@dataclass(frozen=True)
class Window:
    """A VOI window: centre and width in modality units (HU for CT), PS3.3 C.11.2.1.2.

    Raises UsageError for a function that DICOM does not define, a width below 1 with LINEAR, or a
    width of 0 or less with LINEAR_EXACT and SIGMOID.
    """

    centre: float
    width: float
    function: str = "LINEAR"
    name: str | None = None

    def __post_init__(self) -> None:
        if self.function not in FUNCTIONS:
            raise UsageError(
                "a window has an unknown VOI LUT function", fix=f"use one of {', '.join(FUNCTIONS)}"
            )
        finite = np.isfinite(self.centre) and np.isfinite(self.width)
        if not finite or self.width <= 0 or (self.function == "LINEAR" and self.width < 1):
            raise UsageError(
                f"a {self.function} window cannot have the width {self.width:g}",
                fix="use a width of at least 1 (LINEAR) or above 0",
            )


#: The CT windows that radiologists name, in Hounsfield units.
CT_WINDOWS: dict[str, Window] = {
    name: Window(centre, width, "LINEAR", name)
    for name, centre, width in (
        ("brain", 40, 120),
        ("subdural", 80, 200),
        ("bone", 700, 3200),
        ("lung", -600, 1500),
        ("mediastinum", 40, 400),
        ("abdomen", 40, 400),
        ("pe", 400, 1000),
    )
}


def ct_window(name: str) -> Window:
    """The CT window called `name`, in HU. Raises UsageError for a name not in CT_WINDOWS."""
    try:
        return CT_WINDOWS[name]
    except KeyError as error:
        raise UsageError(
            f"no CT window is called {name!r}", fix=f"use one of {', '.join(CT_WINDOWS)}"
        ) from error


def describe_window(window: Window) -> str:
    """The window as recorded with an image: "C40 W400"."""
    return f"C{window.centre:g} W{window.width:g}"


@dataclass(frozen=True, eq=False)
class Lut:
    """A lookup table (PS3.3 C.11.1.1): `entries[0]` is the output for the input `first`.

    Inputs below `first` take the first entry, inputs beyond the end take the last. `bits` is the
    number of bits of an output value.
    """

    first: int
    entries: NDArray[np.uint16]
    bits: int

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lut) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def _content(self) -> tuple[int, int, bytes]:
        return self.first, self.bits, self.entries.tobytes()

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float64]:
        index = np.rint(np.asarray(values, np.float64)) - self.first
        last = len(self.entries) - 1
        return np.asarray(self.entries[np.clip(index, 0, last).astype(np.intp)], np.float64)


#: A VOI transform: a window, a table, or the low and high end of a range of modality values.
Voi = Window | Lut | tuple[float, float]


@dataclass(frozen=True)
class Modality:
    """How stored values become modality values: `lut`, or stored * slope + intercept."""

    slope: float = 1.0
    intercept: float = 0.0
    lut: Lut | None = None

    def __call__(self, samples: NDArray[Any]) -> NDArray[np.float64]:
        """Modality values (HU for CT), float64, in the shape of `samples`."""
        if self.lut is not None:
            return self.lut(samples)
        return np.asarray(samples, np.float64) * self.slope + self.intercept


@lru_cache(maxsize=8)
def stored_values(bits_allocated: int, bits_stored: int, signed: bool) -> NDArray[np.int32]:
    """What each container word of 8 or 16 bits means, shape (2 ** bits_allocated,).

    Bits above `bits_stored` are dropped, whatever they hold, and the sign is extended from the
    highest stored bit (PS3.5 8.1.1). Index it with the unsigned word. Read-only, shared by calls.
    """
    value: NDArray[np.int32] = np.arange(2**bits_allocated, dtype=np.int32) & (2**bits_stored - 1)
    if signed:
        value[value >= 2 ** (bits_stored - 1)] -= 2**bits_stored
    value.flags.writeable = False
    return value


def window_fraction(values: NDArray[Any], window: Window) -> NDArray[np.float64]:
    """Where `values` lie in the window, from 0.0 (below) to 1.0 (above), float64.

    The formulas of PS3.3 C.11.2.1.2.1 (LINEAR, with its -0.5 and -1), C.11.2.1.3.2 (LINEAR_EXACT)
    and C.11.2.1.3.1 (SIGMOID), for an output range of 0 to 1.
    """
    x = np.asarray(values, np.float64)
    if window.function == "SIGMOID":
        exponent = np.clip(-4.0 * (x - window.centre) / window.width, -700.0, 700.0)
        return 1.0 / (1.0 + np.exp(exponent))
    centre, width = window.centre, window.width
    if window.function == "LINEAR":
        centre, width = centre - 0.5, width - 1.0
    if width == 0:
        return (x > centre).astype(np.float64)
    return np.clip((x - centre) / width + 0.5, 0.0, 1.0)


def lut_fraction(values: NDArray[Any], lut: Lut) -> NDArray[np.float64]:
    """VOI LUT output over its full range of `lut.bits` bits, 0.0 to 1.0 (PS3.3 C.11.2.1.1)."""
    return np.asarray(np.clip(lut(values) / (2**lut.bits - 1), 0.0, 1.0))


def range_fraction(values: NDArray[Any], low: float, high: float) -> NDArray[np.float64]:
    """Where `values` lie from `low` (0.0) to `high` (1.0); all 0.0 when high is not above low."""
    x = np.asarray(values, np.float64)
    if not high > low:
        return np.zeros(x.shape)
    return np.clip((x - low) / (high - low), 0.0, 1.0)


def displayed(values: NDArray[Any], voi: Voi, *, inverted: bool = False) -> NDArray[np.uint8]:
    """Modality values as 8-bit grey, in their shape: VOI, then presentation.

    The one chain of frames, of slices of a series and of slices of a volume.
    """
    if isinstance(voi, Window):
        fraction = window_fraction(values, voi)
    elif isinstance(voi, Lut):
        fraction = lut_fraction(values, voi)
    else:
        fraction = range_fraction(values, *voi)
    return grey(fraction, inverted=inverted)


def grey(fraction: NDArray[Any], *, inverted: bool) -> NDArray[np.uint8]:
    """A fraction of the grey scale as 0 to 255, rounded half up; `inverted` swaps the ends."""
    level = np.floor(np.asarray(fraction) * 255.0 + 0.5).astype(np.uint8)
    return 255 - level if inverted else level
