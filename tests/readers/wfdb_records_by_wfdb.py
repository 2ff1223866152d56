"""WFDB records written by the wfdb package."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

BITS = {"80": 8, "212": 12, "16": 16, "24": 24, "32": 32, "508": 8, "516": 16, "524": 24}
FS = 500.0


def write(folder: Path, fmt: str, samples: np.ndarray, **fields: object) -> str:
    """A two-or-more-lead record through wfdb; `samples` is (sample, lead) of stored integers."""
    wfdb = pytest.importorskip("wfdb")
    leads = samples.shape[1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wfdb.wrsamp(
            "rec",
            fs=FS,
            units=fields.pop("units", ["mV"] * leads),
            sig_name=fields.pop("names", ["II", "I", "V1", "V2"][:leads]),
            d_signal=samples,
            fmt=[fmt] * leads,
            adc_gain=fields.pop("gain", [200.0] * leads),
            baseline=fields.pop("baseline", [0] * leads),
            write_dir=str(folder),
            **fields,
        )
    return str(folder / "rec")


def walk(bits: int, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Integers over the middle of the range of `bits`, no missing code and no long runs."""
    top = min(2 ** (bits - 1) - 2, 2**30)
    return np.random.default_rng(seed).integers(-top, top, shape)
