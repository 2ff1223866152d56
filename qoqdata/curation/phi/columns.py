"""The text columns of a record: every string of the contract that is no code."""

from __future__ import annotations

from collections.abc import Iterator

from qoqdata.contract.record import METADATA
from qoqdata.contract.types import EncodedImage, Field, ListOf, Scalar, Struct, Type

#: Strings that our own code writes and nobody types: hashes, slugs, terms of lists. Raw paths are
#: looked through for raw ids before anything leaves (`qoqdata.publication.privacy`).
CODED = frozenset(
    {
        "id",
        "source",
        "task",
        "patient",
        "study",
        "image_info.window.name",
        "image_info.window.function",
        "ecg.leads",
        "reasoning_policy",
        "licence",
        "provenance.raw",
        "provenance.digest",
        "provenance.converter",
        "provenance.version",
    }
)


def string_columns() -> dict[str, str]:
    """All open strings of the record: their name with dots, and their path in Parquet."""
    return {name: path for field in METADATA.fields for name, path in _strings(field, "", "")}


def text_columns() -> dict[str, str]:
    """Those that are no codes; a new column of the contract is one until CODED names it."""
    return {name: path for name, path in string_columns().items() if name not in CODED}


def _strings(field: Field, name: str, path: str) -> Iterator[tuple[str, str]]:
    name = f"{name}.{field.name}" if name else field.name
    path = f"{path}.{field.name}" if path else field.name
    yield from _within(field.type, name, path)


def _within(kind: Type, name: str, path: str) -> Iterator[tuple[str, str]]:
    match kind:
        case Scalar(name="string", choices=()):
            yield name, path
        case ListOf(item=item):
            yield from _within(item, name, f"{path}.list.element")
        case Struct(fields=fields):
            for member in fields:
                yield from _strings(member, name, path)
        case Scalar() | EncodedImage():
            pass
