"""Arrow schemas derived from the contract tables."""

from __future__ import annotations

import json

import pyarrow as pa

from qoqdata.contract.features import features
from qoqdata.contract.types import EncodedImage, Field, ListOf, Scalar, Struct, Table, Type

_SCALARS = {
    "string": pa.string(),
    "bool": pa.bool_(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "binary": pa.binary(),
}


def arrow_type(kind: Type) -> pa.DataType:
    """The Arrow type of a contract type.

    All Arrow fields are nullable: Hugging Face `datasets` writes and expects them so. What may be
    null is a rule of the contract, enforced by `qoqdata.records.rules`.
    """
    match kind:
        case Scalar(name=name):
            return _SCALARS[name]
        case EncodedImage():
            return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        case ListOf(item=item):
            return pa.list_(arrow_type(item))
        case Struct(fields=fields):
            return pa.struct([arrow_field(field) for field in fields])


def arrow_field(field: Field) -> pa.Field:
    """The Arrow field of a contract field."""
    return pa.field(field.name, arrow_type(field.type))


def arrow_schema(table: Table) -> pa.Schema:
    """The Arrow schema, with the table's name and version and its Hugging Face features.

    The `huggingface` key is what lets `load_dataset("parquet", ...)` decode images unasked.
    """
    metadata = {
        "huggingface": json.dumps({"info": {"features": features(table)}}, sort_keys=True),
        "qoqdata.table": table.name,
        "qoqdata.schema_version": str(table.version),
    }
    return pa.schema([arrow_field(field) for field in table.fields], metadata=metadata)
