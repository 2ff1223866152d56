"""The record's columns, as the contract that users' scripts rely on lists them."""

from __future__ import annotations

import pyarrow as pa
import pytest

from qoqdata.contract.arrow import arrow_schema
from qoqdata.contract.record import RECORD

IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS = {
    "id": pa.string(),
    "source": pa.string(),
    "domain": pa.string(),
    "modality": pa.string(),
    "task": pa.string(),
    "kind": pa.string(),
    "item": pa.string(),
    "split": pa.string(),
    "patient": pa.string(),
    "study": pa.string(),
    "images": pa.list_(IMAGE),
    "image_info": None,
    "ecg": pa.struct(
        [
            ("leads", pa.list_(pa.string())),
            ("fs", pa.float32()),
            ("signal", pa.list_(pa.list_(pa.float32()))),
            ("valid", pa.list_(pa.list_(pa.bool_()))),
        ]
    ),
    "regions": None,
    "masks": pa.list_(IMAGE),
    "mask_info": None,
    "context": pa.string(),
    "question": pa.string(),
    "options": pa.list_(pa.string()),
    "answer": pa.string(),
    "number": None,
    "labels": pa.list_(pa.string()),
    "uncertain": pa.list_(pa.string()),
    "absent": pa.list_(pa.string()),
    "reasoning": pa.string(),
    "reasoning_policy": pa.string(),
    "age": pa.int16(),
    "sex": pa.string(),
    "licence": pa.string(),
    "redistribution": pa.string(),
    "provenance": None,
}
MEMBERS = {
    "image_info": (
        "width height original_width original_height view laterality window index spacing stored_as"
    ),
    "regions": "label image x_min y_min x_max y_max area reader role",
    "mask_info": "image width height reader instance",
    "number": "value unit tolerance",
    "provenance": "raw digest algorithm converter version notes",
}


def test_columns_and_their_order() -> None:
    assert RECORD.names == tuple(COLUMNS)


def test_arrow_types() -> None:
    schema = arrow_schema(RECORD)
    for name, kind in COLUMNS.items():
        if kind is not None:
            assert schema.field(name).type == kind, name


@pytest.mark.parametrize("column", MEMBERS)
def test_members(column: str) -> None:
    kind = arrow_schema(RECORD).field(column).type
    kind = kind.value_type if pa.types.is_list(kind) else kind
    assert [member.name for member in kind] == MEMBERS[column].split()


def test_the_schema_names_its_table_and_version() -> None:
    metadata = arrow_schema(RECORD).metadata
    assert metadata[b"qoqdata.table"] == b"record"
    assert metadata[b"qoqdata.schema_version"] == b"2"


def test_field_by_name() -> None:
    assert RECORD.field("age").nullable
    with pytest.raises(KeyError):
        RECORD.field("ages")
