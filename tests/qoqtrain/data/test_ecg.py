"""Windows of recordings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qoqdata.errors import InputError, UnsupportedFormat
from qoqdata.readers.ecg import Recording, resample, select, window
from qoqdata.readers.ecg.leads import TWELVE
from qoqtrain.data.ecg import ecg_windows, window_tokens
from qoqtrain.model.ecg_config import EIGHT, EcgConfig
from tests.qoqtrain.model.clinical import ecg

EIGHT_LEADS = EcgConfig()
TWELVE_LEADS = EcgConfig(leads=TWELVE)


def recorded(given: dict[str, Any]) -> Recording:
    return Recording(tuple(given["leads"]), given["fs"], given["signal"], given["valid"])


def ten_seconds(recording: Recording, start: float = 0.0) -> Recording:
    return window(resample(select(recording, EIGHT), 250.0), round(start * 250), 2500)


@pytest.mark.parametrize("fs", [100.0, 250.0, 500.0, 360.0])
def test_the_window_is_the_readers_view(fs: float) -> None:
    given = ecg(0, fs=fs)
    found = ecg_windows(given, EIGHT_LEADS, "here")
    view = ten_seconds(recorded(given))
    assert found.signal.shape == (1, 8, 2500) and found.signal.dtype == np.float32
    np.testing.assert_array_equal(found.signal[0], view.signal)
    np.testing.assert_array_equal(found.valid[0], view.valid)
    assert found.tokens == (1,)


def test_leads_are_found_by_name_in_any_spelling() -> None:
    given = ecg(1)
    turned = {
        "leads": [f"Lead {name.upper()}" for name in reversed(given["leads"])],
        "fs": 250.0,
        "signal": given["signal"][::-1],
        "valid": given["valid"][::-1],
    }
    one, other = (ecg_windows(g, TWELVE_LEADS, "here") for g in (given, turned))
    np.testing.assert_array_equal(one.signal, other.signal)


def test_derived_limb_leads() -> None:
    given = ecg(2, leads=EIGHT)
    found = ecg_windows(given, TWELVE_LEADS, "here")
    assert found.valid.all()
    row = dict(zip(TWELVE, found.signal[0], strict=True))
    np.testing.assert_allclose(row["III"], row["II"] - row["I"], atol=1e-6)
    np.testing.assert_allclose(row["aVR"], -(row["I"] + row["II"]) / 2, atol=1e-6)


def test_absent_leads_are_marked_and_not_invented() -> None:
    found = ecg_windows(ecg(3, leads=("I", "V2")), EIGHT_LEADS, "here")
    assert found.valid.any(2)[0].tolist() == [lead in ("I", "V2") for lead in EIGHT]
    assert "2 leads: I V2" in found.captions[0]


def test_a_short_recording_ends_where_it_ends() -> None:
    found = ecg_windows(ecg(4, seconds=3.0), EcgConfig(tokens=10), "here")
    assert found.valid[0].sum(1).tolist() == [750] * 8
    assert found.tokens == (3,)  # of ten stretches of a second
    assert "3 s" in found.captions[0] and found.short
    assert not ecg_windows(ecg(4), EcgConfig(tokens=10), "here").short


def test_a_long_recording_has_several_windows_if_asked() -> None:
    given = ecg(5, seconds=24.0)
    one = ecg_windows(given, EIGHT_LEADS, "here")
    three = ecg_windows(given, EcgConfig(windows=5, tokens=5), "here")
    assert len(one.tokens) == 1 and "seconds 0 to 10" in one.captions[0]
    assert three.tokens == (5, 5, 2)
    assert "seconds 20 to 24" in three.captions[2]
    view = ten_seconds(recorded(given), start=10.0)
    np.testing.assert_array_equal(three.signal[1], view.signal)


def test_invalid_stretches() -> None:
    given = ecg(6)
    given["valid"][:, 500:1000] = False
    found = ecg_windows(given, EcgConfig(tokens=5), "here")
    assert found.tokens == (4,)
    given["valid"][:] = False
    with pytest.raises(UnsupportedFormat, match="no stretch"):
        ecg_windows(given, EIGHT_LEADS, "here")


def test_the_count_of_tokens_is_that_of_the_branch() -> None:
    import torch

    from qoqtrain.model.ecg_branch import EcgBranch

    rng = np.random.default_rng(0)
    config = EcgConfig(tokens=10, leads=("I", "II"), width=16, depth=1, heads=2)
    branch = EcgBranch(config, 8)
    places = torch.tensor([config.places])
    for _ in range(20):
        valid = np.repeat(rng.random((2, 100)) < 0.3, 25, axis=1)
        mask = torch.from_numpy(valid)[None]
        with torch.no_grad():
            tokens = branch(torch.zeros(mask.shape), mask, places)
        assert window_tokens(valid, config) == len(tokens)


def test_strange_leads_only() -> None:
    given = ecg(7, leads=("I",))
    given["leads"] = ["MLII"]
    with pytest.raises(UnsupportedFormat, match="MLII"):
        ecg_windows(given, EIGHT_LEADS, "record 7")


@pytest.mark.parametrize(
    "change",
    [
        {"signal": None},
        {"fs": 0.0},
        {"fs": "fast"},
        {"leads": ["I"]},
        {"leads": ["I"] * 12},
        {"valid": np.ones((12, 3), bool)},
        {"signal": np.zeros((12, 0)), "valid": np.zeros((12, 0), bool)},
        {"signal": np.full((12, 2500), np.nan)},
    ],
    ids=str,
)
def test_malformed_recordings(change: dict[str, Any]) -> None:
    with pytest.raises(InputError) as raised:
        ecg_windows(ecg(8) | change, EIGHT_LEADS, "record 8")
    assert "record 8" in str(raised.value)
