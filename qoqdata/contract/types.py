"""The few column types that the contract needs; every derived schema starts from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ScalarName = Literal["string", "bool", "int16", "int32", "int64", "float32", "float64", "binary"]


@dataclass(frozen=True)
class Scalar:
    """One value. `choices` closes a string column to a vocabulary."""

    name: ScalarName
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListOf:
    """An ordered list without null members."""

    item: Type


@dataclass(frozen=True)
class Struct:
    """Named fields."""

    fields: tuple[Field, ...]


@dataclass(frozen=True)
class EncodedImage:
    """Encoded image bytes with a file-like name; a Hugging Face `Image` feature."""


Type = Scalar | ListOf | Struct | EncodedImage


@dataclass(frozen=True)
class Field:
    """A column or a struct member. Null means absent; an empty list is a value."""

    name: str
    type: Type
    doc: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A versioned table of the contract."""

    name: str
    version: int
    doc: str
    fields: tuple[Field, ...]

    def field(self, name: str) -> Field:
        """The field called `name`; KeyError when the table has none."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(field.name for field in self.fields)

    @property
    def required(self) -> frozenset[str]:
        """Names of the columns that are null in no row."""
        return frozenset(field.name for field in self.fields if not field.nullable)


STRING = Scalar("string")
BOOL = Scalar("bool")
INT16 = Scalar("int16")
INT32 = Scalar("int32")
INT64 = Scalar("int64")
FLOAT32 = Scalar("float32")
FLOAT64 = Scalar("float64")
