"""What a converter says, and the row that comes of it."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image as PilImage

from qoqdata.contract.record import RECORD
from qoqdata.contract.storage import Storage
from qoqdata.readers import encode
from qoqdata.readers.dicom import Window
from qoqdata.records.content import Ecg, Image, Mask, Record, Region
from qoqdata.records.ecg_column import ecg_array, ecg_rows
from qoqdata.records.media_column import media_array
from qoqdata.records.rows import SCHEMA, RecordFacts, batch, row, shows_something
from qoqdata.records.rules import validate
from qoqdata.records.storage import MediaStore
from tests.records.sound_rows import HEIGHT, WIDTH, encoded

SETTING = RecordFacts(
    id="f" * 32,
    source="films",
    domain="chest_xray",
    modality="image_2d",
    split="test",
    patient="a" * 32,
    study="b" * 32,
    licence="CC0",
    redistribution="allowed",
    raw=("x/1.png", "x/1-mask.png"),
    digest="c" * 64,
    algorithm="blake3",
    converter="image_table",
    version="3",
)
IMAGE = Image(
    np.asarray(PilImage.open(BytesIO(encoded()))),
    encoded(),
    60,
    40,
    view="PA",
    laterality="left",
    window=Window(40.0, 400.0, "LINEAR", "abdomen"),
    index=7,
    spacing=(0.5, 0.25, 5.0),
)
MASK = Mask(np.full((HEIGHT, WIDTH), 3, np.uint8))
MASK_PNG = encode.label_png(MASK.codes)
RECORD_CONTENT = Record(
    task="diagnosis",
    item="7",
    kind="single",
    forms=("What?",),
    answer="Opacity",
    options=("Clear", "Opacity"),
    labels=("Opacity",),
    uncertain=(),
    absent=("Clear",),
    images=(IMAGE, IMAGE),
    regions=(Region("opacity", 1, 0.5, 1.0, 2.5, 3.0, 4.0, "reader 2", "given"),),
    masks=(MASK, replace(MASK, image=1, reader="r2", instance=3)),
    context="Cough.",
    age=47,
    sex="male",
    notes=("resized",),
)


def made_row(record: Record, facts: RecordFacts) -> dict[str, Any]:
    return row(record, MediaStore(Storage(policy="native")).store(record), facts)


def test_every_field_arrives_in_its_column() -> None:
    made = made_row(RECORD_CONTENT, SETTING)
    info = {
        "width": WIDTH,
        "height": HEIGHT,
        "original_width": 60,
        "original_height": 40,
        "view": "PA",
        "laterality": "left",
        "window": {"name": "abdomen", "centre": 40.0, "width": 400.0, "function": "LINEAR"},
        "index": 7,
        "spacing": [0.5, 0.25, 5.0],
        "stored_as": "verbatim",
    }
    assert made == {
        "id": "f" * 32,
        "source": "films",
        "domain": "chest_xray",
        "modality": "image_2d",
        "task": "diagnosis",
        "kind": "single",
        "item": "7",
        "split": "test",
        "patient": "a" * 32,
        "study": "b" * 32,
        "images": [
            {"bytes": encoded(), "path": f"{'f' * 32}-0.png"},
            {"bytes": encoded(), "path": f"{'f' * 32}-1.png"},
        ],
        "image_info": [info, info],
        "ecg": None,
        "regions": [
            {
                "label": "opacity",
                "image": 1,
                "x_min": 0.5,
                "y_min": 1.0,
                "x_max": 2.5,
                "y_max": 3.0,
                "area": 4.0,
                "reader": "reader 2",
                "role": "given",
            }
        ],
        "masks": [
            {"bytes": MASK_PNG, "path": f"{'f' * 32}-mask-0.png"},
            {"bytes": MASK_PNG, "path": f"{'f' * 32}-mask-1.png"},
        ],
        "mask_info": [
            {"image": 0, "width": WIDTH, "height": HEIGHT, "reader": None, "instance": None},
            {"image": 1, "width": WIDTH, "height": HEIGHT, "reader": "r2", "instance": 3},
        ],
        "context": "Cough.",
        "question": "What?",
        "options": ["Clear", "Opacity"],
        "answer": "Opacity",
        "number": None,
        "labels": ["Opacity"],
        "uncertain": [],
        "absent": ["Clear"],
        "reasoning": None,
        "reasoning_policy": None,
        "age": 47,
        "sex": "male",
        "licence": "CC0",
        "redistribution": "allowed",
        "provenance": {
            "raw": ["x/1.png", "x/1-mask.png"],
            "digest": "c" * 64,
            "algorithm": "blake3",
            "converter": "image_table",
            "version": "3",
            "notes": ["resized"],
        },
    }
    assert tuple(made) == RECORD.names
    validate(made)


def test_none_stays_null_and_empty_stays_empty() -> None:
    bare = Record(task="t", kind="open", forms=("q",), answer="a", labels=(), regions=())
    made = made_row(bare, SETTING)
    absent = {name for name, value in made.items() if value is None}
    assert absent == {
        "item", "images", "image_info", "ecg", "masks", "mask_info", "context", "options", "number",
        "uncertain", "absent", "reasoning", "reasoning_policy", "age", "sex",
    }  # fmt: skip
    assert made["labels"] == [] and made["regions"] == []


@pytest.mark.parametrize(
    ("age", "shown"), [(None, None), (0, 0), (89, 89), (90, 90), (91, 90), (120, 90), (300, None)]
)
def test_ages_are_capped(age: int | None, shown: int | None) -> None:
    assert made_row(replace(RECORD_CONTENT, age=age), SETTING)["age"] == shown


def test_an_ecg_goes_to_arrow_as_float32_millivolts() -> None:
    signal = np.array([[0.1, -0.2, 0.3], [1, 2, 3]], np.float32)
    ecg = Ecg(("I", "II"), 500.0, signal, signal > 0)
    made = made_row(
        Record(task="t", kind="open", forms=("q",), answer="a", ecg=ecg),
        SETTING._replace(modality="ecg"),
    )
    validate(made)
    (back,) = batch([made]).to_pylist()
    assert np.array_equal(np.array(back["ecg"]["signal"], np.float32), signal)
    assert back["ecg"]["valid"] == [[True, False, True], [True, True, True]]
    assert back["ecg"]["leads"] == ["I", "II"]
    assert back["ecg"]["fs"] == 500


def test_ecgs_become_the_arrays_that_arrow_makes_of_their_lists() -> None:
    """Rows without one, of other leads and lengths, and views of one larger array."""
    rng = np.random.default_rng(4)
    values: list[Any] = [None]
    for leads, samples in ((3, 7), (1, 1), (12, 130)):
        signal = rng.normal(size=(leads, samples + 2)).astype(np.float32)[:, 1:-1]
        names = [f"V{lead}" for lead in range(leads)]
        ecg = {"leads": names, "fs": 250.0, "signal": list(signal), "valid": list(signal > 0)}
        values += [ecg, ecg, None]
    kind = SCHEMA.field("ecg").type
    made = ecg_array(values, kind)
    made.validate(full=True)
    assert made.type == kind and made.equals(pa.array(values, kind))
    assert ecg_array([None, None], kind).equals(pa.array([None, None], kind))


def test_ecgs_come_back_as_the_lists_that_arrow_gives() -> None:
    """Rows without one, null lists, leads and samples; whole, and slices."""
    whole = {"leads": ["I", "II"], "fs": 1.0, "signal": [[0.5], [0.25]], "valid": [[True], [False]]}
    torn = {"leads": ["I", "V1"], "fs": None, "signal": [None, [1.5, 2.5]], "valid": [[True], None]}
    bare = {"leads": None, "fs": 2.0, "signal": None, "valid": []}
    values = [None, whole, torn, None, bare, whole]
    column = pa.array(values, SCHEMA.field("ecg").type)
    for start, stop in ((0, 6), (1, 5), (2, 3), (3, 4), (6, 6)):
        assert _listed(ecg_rows(column[start:stop])) == values[start:stop]
    (row,) = ecg_rows(pa.array([whole | {"signal": [[None, 1.0]]}], column.type))
    assert np.isnan(row["signal"][0][0]) and row["signal"][0].dtype == np.float32


def _listed(rows: list[Any]) -> list[Any]:
    def plain(leads: list[Any] | None) -> list[Any] | None:
        return leads and [None if lead is None else lead.tolist() for lead in leads]

    return [row and row | {name: plain(row[name]) for name in ("signal", "valid")} for row in rows]


@pytest.mark.parametrize(
    "change", [{"signal": [["a"]]}, {"valid": [[1]]}, {"signal": [[None]]}, {"leads": [2]}]
)
def test_an_ecg_of_other_types_is_not_written(change: dict[str, Any]) -> None:
    ecg = {"leads": ["I"], "fs": 1.0, "signal": [[0.5]], "valid": [[True]]}
    with pytest.raises((TypeError, ValueError)):
        ecg_array([ecg | change], SCHEMA.field("ecg").type)


def test_media_become_the_array_that_arrow_makes_of_them() -> None:
    """Rows without any, of several, one in two rows; and bytes or images that are null."""
    one, other = ({"bytes": bytes([n]) * n, "path": f"{n}.png"} for n in (3, 200))
    kind = SCHEMA.field("images").type
    for cells in (
        [None, [one], [one, other], [], None, [other]],
        [[one]],
        [None, None],
        [],
        [[one, {"bytes": None, "path": None}], [None]],
        [[one | {"path": None}], [one | {"bytes": b""}]],
    ):
        made = media_array(cells, kind)
        made.validate(full=True)
        assert made.type == kind and made.equals(pa.array(cells, kind))


@pytest.mark.parametrize("change", [{"bytes": 7}, {"path": 7}])
def test_media_of_other_types_are_not_written(change: dict[str, Any]) -> None:
    cell = {"bytes": b"a", "path": "a.png"} | change
    with pytest.raises((TypeError, ValueError)):
        media_array([[cell]], SCHEMA.field("images").type)


def test_a_batch_has_the_schema_of_the_contract() -> None:
    made = made_row(RECORD_CONTENT, SETTING)
    table = pa.Table.from_batches([batch([made, made])])
    assert table.schema.equals(SCHEMA, check_metadata=True)
    assert table.to_pylist() == [made, made]
    assert batch([]).num_rows == 0


def test_a_value_of_the_wrong_type_is_not_written() -> None:
    made = made_row(RECORD_CONTENT, SETTING) | {"age": 2**15}
    with pytest.raises((pa.ArrowInvalid, OverflowError)):
        batch([made])


@pytest.mark.parametrize(
    ("content", "shows"),
    [
        ({"images": (IMAGE,)}, True),
        ({"context": "Cough."}, True),
        (
            {"ecg": Ecg(("I",), 1.0, np.zeros((1, 1), np.float32), np.ones((1, 1), bool))},
            True,
        ),
        ({"masks": (MASK,), "regions": ()}, False),
        ({}, False),
    ],
    ids=["image", "text", "ECG", "annotations only", "nothing"],
)
def test_what_shows_the_policy_something(content: dict[str, Any], shows: bool) -> None:
    made = made_row(Record(task="t", kind="open", forms=("q",), answer="a", **content), SETTING)
    assert shows_something(made) is shows
