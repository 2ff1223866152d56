"""JSON Schema (draft 2020-12) of the contract tables and documents.

`python -m qoqdata.contract` writes them to `schemas/published/`, for users of other languages.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from qoqdata.contract import card, manifest
from qoqdata.contract.record import METADATA, RECORD
from qoqdata.contract.side_tables import TABLES as SIDE_TABLES
from qoqdata.contract.statistics import CONCEPTS
from qoqdata.contract.statistics import TABLES as STATISTICS_TABLES
from qoqdata.contract.types import EncodedImage, Field, ListOf, Scalar, Struct, Table, Type
from qoqdata.shipped import shipped_folder

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED = shipped_folder("schemas") / "published"

_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "bool": {"type": "boolean"},
    "int16": {"type": "integer", "minimum": -(2**15), "maximum": 2**15 - 1},
    "int32": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "int64": {"type": "integer"},
    "float32": {"type": "number"},
    "float64": {"type": "number"},
    "binary": {"type": "string", "contentEncoding": "base64"},
}


def type_schema(kind: Type) -> dict[str, Any]:
    """The JSON Schema of one contract type; binary values are base64 text."""
    match kind:
        case Scalar(name=name, choices=choices):
            return {**_SCALARS[name], **({"enum": list(choices)} if choices else {})}
        case EncodedImage():
            properties = {"bytes": _SCALARS["binary"], "path": _SCALARS["string"]}
            return _object(properties, required=["bytes", "path"])
        case ListOf(item=item):
            return {"type": "array", "items": type_schema(item)}
        case Struct(fields=fields):
            return _object(
                {field.name: field_schema(field) for field in fields},
                required=[field.name for field in fields],
            )


def field_schema(field: Field) -> dict[str, Any]:
    """The JSON Schema of a column; nullable columns admit null."""
    schema = type_schema(field.type)
    return {"description": field.doc, **(_or_null(schema) if field.nullable else schema)}


def table_schema(table: Table) -> dict[str, Any]:
    """The JSON Schema of one row of a table."""
    row = _object(
        {field.name: field_schema(field) for field in table.fields}, required=list(table.names)
    )
    title = f"qoqdata {table.name}, version {table.version}"
    return {"$schema": DIALECT, "title": title, "description": table.doc, **row}


def all_schemas() -> dict[str, dict[str, Any]]:
    """Every published schema by file name."""
    tables = {
        f"{table.name}.v{table.version}.json": table_schema(table)
        for table in (RECORD, METADATA, *STATISTICS_TABLES, CONCEPTS, *SIDE_TABLES)
    }
    documents = {
        f"{name}.v{version}.json": {"$schema": DIALECT, **model.model_json_schema()}
        for name, version, model in (
            ("card", card.VERSION, card.Card),
            ("manifest", manifest.VERSION, manifest.Manifest),
        )
    }
    return tables | documents


def publish(folder: Path = PUBLISHED) -> list[Path]:
    """Write every schema to `folder`; returns the paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, schema in sorted(all_schemas().items()):
        path = folder / name
        path.write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def _object(properties: dict[str, Any], *, required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
