"""The JSON Schemas: as published, and as strict as the Arrow schema."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from qoqdata.contract import json_schema
from qoqdata.contract.card import Card
from qoqdata.contract.record import RECORD
from qoqdata.records.alignment import align
from qoqdata.records.rules import validate
from tests.records.sound_rows import ecg_row, image_row, table

VALIDATOR = Draft202012Validator(json_schema.table_schema(RECORD))


def as_json(row: dict[str, Any]) -> dict[str, Any]:
    """An aligned record as JSON: bytes as base64 text."""
    (aligned,) = align(table(row)).to_pylist()
    return json.loads(json.dumps(aligned, default=lambda data: base64.b64encode(data).decode()))


def test_published_schemas_are_those_derived_now() -> None:
    derived = json_schema.all_schemas()
    published = {path.name: json.loads(path.read_bytes()) for path in published_files()}
    assert published == derived


def published_files() -> list[Path]:
    return sorted(json_schema.PUBLISHED.glob("*.json"))


def test_publishing_writes_the_files_that_are_committed(tmp_path: Path) -> None:
    written = json_schema.publish(tmp_path)
    assert [path.name for path in written] == [path.name for path in published_files()]
    for path in written:
        assert path.read_bytes() == (json_schema.PUBLISHED / path.name).read_bytes()


@pytest.mark.parametrize("name", json_schema.all_schemas())
def test_schemas_are_valid_schemas(name: str) -> None:
    Draft202012Validator.check_schema(json_schema.all_schemas()[name])


@pytest.mark.parametrize("row", [image_row(), ecg_row()], ids=["image", "ecg"])
def test_a_sound_record_validates(row: dict[str, Any]) -> None:
    validate(row)
    VALIDATOR.validate(as_json(row))


@pytest.mark.parametrize("field", RECORD.fields, ids=lambda field: field.name)
def test_null_is_allowed_where_the_contract_allows_it(field: Any) -> None:
    record = as_json(image_row())
    record[field.name] = None
    assert VALIDATOR.is_valid(record) == field.nullable


@pytest.mark.parametrize("name", RECORD.names)
def test_every_column_is_required(name: str) -> None:
    record = as_json(image_row())
    del record[name]
    assert not VALIDATOR.is_valid(record)


MUTATIONS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unknown column": lambda r: r.update(extra=1),
    "domain outside the vocabulary": lambda r: r.update(domain="dental"),
    "split outside the vocabulary": lambda r: r.update(split="dev"),
    "sex outside the vocabulary": lambda r: r.update(sex="F"),
    "age beyond int16": lambda r: r.update(age=2**15),
    "age as text": lambda r: r.update(age="61"),
    "fractional age": lambda r: r.update(age=61.5),
    "one label as text": lambda r: r.update(labels="Opacity"),
    "null among labels": lambda r: r["labels"].append(None),
    "null among images": lambda r: r["images"].append(None),
    "image without bytes": lambda r: r["images"][0].pop("bytes"),
    "image with a null for bytes": lambda r: r["images"][0].update(bytes=None),
    "unknown member of a box": lambda r: r["regions"][0].update(score=0.5),
    "box without a corner": lambda r: r["regions"][0].pop("x_max"),
    "box label null": lambda r: r["regions"][0].update(label=None),
    "window without a centre": lambda r: r["image_info"][0]["window"].pop("centre"),
    "spacing as a number": lambda r: r["image_info"][0].update(spacing=0.5),
    "provenance without a digest": lambda r: r["provenance"].pop("digest"),
}


@pytest.mark.parametrize("name", MUTATIONS)
def test_a_mutated_record_does_not_validate(name: str) -> None:
    record = copy.deepcopy(as_json(image_row()))
    MUTATIONS[name](record)
    assert not VALIDATOR.is_valid(record)


def test_ecg_of_ragged_type_does_not_validate() -> None:
    record = as_json(ecg_row())
    record["ecg"]["signal"] = [0.0, 0.5]
    assert not VALIDATOR.is_valid(record)


def test_every_shipped_card_keeps_the_published_schema() -> None:
    from qoqdata.sources import catalogue

    validator = Draft202012Validator(json_schema.all_schemas()["card.v1.json"])
    shipped = catalogue.cards()
    assert shipped
    for card in shipped.values():
        assert isinstance(card, Card)
        validator.validate(card.model_dump(mode="json"))
