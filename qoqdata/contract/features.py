"""Hugging Face `Features` of the contract tables, as the JSON that `datasets` stores.

Written without importing `datasets` (1.4 s); a test holds both against each other.
"""

from __future__ import annotations

from typing import Any

from qoqdata.contract.types import EncodedImage, ListOf, Scalar, Struct, Table, Type


def feature(kind: Type) -> dict[str, Any]:
    """One feature in `Features.to_dict()` form."""
    match kind:
        case Scalar(name=name):
            return {"dtype": name, "_type": "Value"}
        case EncodedImage():
            return {"_type": "Image"}
        case ListOf(item=item):
            return {"feature": feature(item), "_type": "List"}
        case Struct(fields=fields):
            return {field.name: feature(field.type) for field in fields}


def features(table: Table) -> dict[str, Any]:
    """All features of a table, by column."""
    return {field.name: feature(field.type) for field in table.fields}


def card_features(table: Table) -> list[dict[str, Any]]:
    """The features of a table as the front matter of a README.md has them (`dataset_info`)."""
    return [{"name": field.name, **card_feature(field.type)} for field in table.fields]


def card_feature(kind: Type) -> dict[str, Any]:
    """One feature as front matter has it, without its name."""
    match kind:
        case Scalar(name=name):
            return {"dtype": name}
        case EncodedImage():
            return {"dtype": "image"}
        case ListOf(item=item):
            inner = card_feature(item)
            # Where a list holds but a type or a struct, that stands in its place.
            short = inner.keys() in ({"dtype"}, {"struct"})
            return {"list": next(iter(inner.values())) if short else inner}
        case Struct(fields=fields):
            return {"struct": [{"name": f.name, **card_feature(f.type)} for f in fields]}
