"""The one shape in which every ECG reader hands over a recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Recording:
    """An ECG in millivolts at its native rate and length.

    leads     canonical names, canonical order (`leads.ORDER`, then the others in file order);
              a lead that the source lacks is not listed
    fs        sampling frequency in Hz, one for all leads
    signal    float32 (lead, sample), mV; finite everywhere
    valid     bool (lead, sample); the mask is the truth. Samples that the source marks as missing
              hold 0.0 under a False mask; flat and saturated stretches keep the measured value
              under a False mask (see `quality`)
    comments  comment lines of the header without the leading `#`, as written; they may hold dates
              and names, so the caller picks what it needs
    age       years, or None when not stated or outside 0-120
    sex       "female", "male", "other" or None
    dx        codes of the Dx comment, in order, as written
    repairs   what had to be mended, assumed, dropped or left unchecked while reading, one sentence
              each; free of dates and patient data
    """

    leads: tuple[str, ...]
    fs: float
    signal: np.ndarray
    valid: np.ndarray
    comments: tuple[str, ...] = ()
    age: int | None = None
    sex: str | None = None
    dx: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return float(self.signal.shape[1] / self.fs)

    @property
    def masked(self) -> tuple[str, ...]:
        """A note on every lead that is not valid throughout."""
        if self.valid.all():
            return ()
        lost = 1 - self.valid.mean(axis=1)
        return tuple(
            f"lead {name}: {share:.0%} unusable, masked"
            for name, share in zip(self.leads, lost, strict=True)
            if share > 0
        )
