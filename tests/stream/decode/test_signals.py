"""ECG structs in every form that a reader of Parquet may hand over."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from qoqdata.errors import InputError, Misaligned, UnreadableFile
from qoqdata.stream.decode import Decoder

SIGNAL = [[0.5, -1.25, 2.0], [0.0, 0.25, -0.125]]
VALID = [[True, False, True], [True, True, True]]
STORED = {"leads": ["I", "II"], "fs": 500.0, "signal": SIGNAL, "valid": VALID}


def decode(ecg):
    return Decoder()({"id": "r1", "ecg": ecg})["ecg"]


def arrow():
    kind = pa.struct(
        {
            "leads": pa.list_(pa.string()),
            "fs": pa.float32(),
            "signal": pa.list_(pa.list_(pa.float32())),
            "valid": pa.list_(pa.list_(pa.bool_())),
        }
    )
    other = {"leads": ["V1"], "fs": 250, "signal": [[9.0]], "valid": [[False]]}
    struct = pa.array([other, STORED], kind)[1]
    return {name: struct[name] for name in ("leads", "signal", "valid")} | {"fs": 500}


FORMS = {
    "lists": STORED,
    "lists of arrays": STORED
    | {
        "signal": [np.array(lead, np.float32) for lead in SIGNAL],
        "valid": [np.array(lead) for lead in VALID],
    },
    "arrays": STORED | {"signal": np.array(SIGNAL), "valid": np.array(VALID)},
    "arrow": arrow(),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_arrays(form):
    found = decode(FORMS[form])
    assert found["signal"].dtype == np.float32 and found["valid"].dtype == np.bool_
    assert found["signal"].tolist() == SIGNAL and found["valid"].tolist() == VALID
    assert found["leads"] == ["I", "II"] and found["fs"] == 500.0
    assert found["signal"].flags.writeable and found["valid"].flags.writeable


def test_members_that_were_not_read_stay_absent():
    assert decode({"fs": 250}) == {"fs": 250.0}
    found = decode({"leads": ["I", "II"], "signal": SIGNAL})
    assert set(found) == {"leads", "signal"} and found["signal"].shape == (2, 3)


@pytest.mark.parametrize(
    ("change", "error", "place"),
    [
        ({"signal": [[1.0, 2.0], [1.0]]}, Misaligned, "ecg.signal"),
        ({"signal": [[], []]}, Misaligned, "ecg.signal"),
        ({"signal": []}, Misaligned, "ecg.signal"),
        ({"leads": ["I"]}, Misaligned, "ecg"),
        ({"valid": [[True] * 2] * 2}, Misaligned, "ecg"),
        ({"signal": [[1.0, None, 2.0]] * 2}, UnreadableFile, "ecg.signal"),
        ({"valid": [[True, None, True]] * 2}, UnreadableFile, "ecg.valid"),
        ({"valid": [[1, 0, 1]] * 2}, UnreadableFile, "ecg.valid"),
        ({"signal": "text"}, UnreadableFile, "ecg.signal"),
        ({"signal": 5}, UnreadableFile, "ecg.signal"),
        ({"signal": [[1.0, float("nan"), 2.0]] * 2}, InputError, "ecg.signal"),
        ({"signal": [[1e39, 0.0, 0.0]] * 2}, InputError, "ecg.signal"),
        ({"signal": pa.scalar([[1.0, None, 0.0]] * 2)}, UnreadableFile, "ecg.signal"),
        ({"signal": pa.scalar([[1.0], [1.0, 2.0]])}, Misaligned, "ecg.signal"),
        ({"signal": pa.scalar([["a"], ["b"]])}, UnreadableFile, "ecg.signal"),
        ({"signal": pa.scalar(None, pa.list_(pa.list_(pa.float32())))}, UnreadableFile, "ecg.s"),
    ],
)
def test_broken_signals_are_named(change, error, place):
    with pytest.raises(error, match=f"record r1, {place}"):
        decode(STORED | change)
