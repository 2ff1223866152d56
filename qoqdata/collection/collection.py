"""A collection: the sources of a published set, where each is to lie, and what was published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.contract.card import Slug
from qoqdata.settings import checked, load_mapping

_FOLDER = Path(__file__).parent

Line = Annotated[str, Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedCounts(_Model):
    """What the set's authors state of a source; the parts need not add up to `records`."""

    records: int = Field(gt=0)
    train: int = Field(ge=0)
    test: int = Field(ge=0)


class CollectionPart(_Model):
    """One source of a collection.

    folders    where it may lie below the raw folder, the first by our name and the others by names
               that copies of the set have; one of them holds it
    options    of its card, for this collection
    published  None where the authors name the source and state no count
    differs    why our count is another one
    size       of the raw files, as its publisher states it, rounded
    """

    source: Slug
    folders: tuple[Line, ...] = Field(min_length=1)
    options: dict[str, Any] = {}
    published: PublishedCounts | None
    differs: Line
    size: Line | None = None


class Collection(_Model):
    """A published set. `total` is the number of records that it is known by."""

    name: Slug
    title: Line
    total: int = Field(gt=0)
    about: Line
    parts: tuple[CollectionPart, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for what, names in (
            ("source", [part.source for part in self.parts]),
            ("folder", [folder for part in self.parts for folder in part.folders]),
        ):
            if repeated := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"the {what} {repeated[0]} is there twice")
        return self

    @property
    def published_records(self) -> int:
        """The sum of what is stated of the sources, which need not be `total`."""
        return sum(part.published.records for part in self.parts if part.published)


def shipped_collections() -> tuple[str, ...]:
    """The names of the collections that travel in the package, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.yaml")))


def load_collection(name: str) -> Collection:
    """The shipped collection of that name; UsageError where there is none."""
    path = _FOLDER / f"{name}.yaml"
    return checked(Collection, load_mapping(path), where=path.name)
