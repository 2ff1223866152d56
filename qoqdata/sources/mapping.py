"""Mappings: how a user's own files become a source, as a YAML file.

A mapping names the source, its terms, the question and its labels, and where the labels are: a
table (CSV) joined by key, or the files' own headers.
"""

from __future__ import annotations

from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.contract.card import Card, MaskCode, Slug, Splits, Text
from qoqdata.contract.storage import Storage
from qoqdata.contract.vocabulary import DOMAINS, REDISTRIBUTION, Split
from qoqdata.settings import checked
from qoqdata.sources.card import parse_card

M = TypeVar("M", bound="Mapping")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableColumns(_Part):
    """A CSV with one row a key. Only `file` and `key` are needed; all columns are read as text."""

    file: Text = Field(description="path of the table below the raw folder")
    key: Text = Field(description="column whose values name the files (see the source's card)")
    separator: str = Field(",", pattern=r"^[\t -!#-~]$", description="one character, not a quote")
    labels: Text | tuple[Text, ...] | None = Field(
        None,
        description="a column of labels, or columns named like labels with 1, 0, -1 or blank",
    )
    label_separator: str | None = Field(None, description="splits a cell of several labels")
    patient: str | None = None
    group: str | None = Field(None, description="what must stay in one split; default: patient")
    split: str | None = None
    age: str | None = None
    sex: str | None = None
    context: str | None = Field(None, description="report or notes that the question refers to")


class Mapping(_Part):
    """What every bring-your-own source needs to know."""

    slug: Slug
    name: Text
    domain: Literal[DOMAINS]  # type: ignore[valid-type]
    licence: Text = "private"
    redistribution: Literal[REDISTRIBUTION] = "forbidden"  # type: ignore[valid-type]
    citation: Text = "unpublished"
    question: Text
    kind: Literal["single", "multi"] = "single"
    task: Slug = "diagnosis"
    options: tuple[Text, ...] | None = Field(None, description="default: what the labels map to")
    labels: dict[str, str] = Field({}, description="raw label to option; default: as they are")
    none: str | None = Field(
        None, description="option for a row whose label columns are all explicitly absent"
    )
    mask_codes: dict[MaskCode, Text] = {}
    table: TableColumns | None = None
    split_values: dict[str, Split] = Field({}, description="the split column's words to splits")
    sex_values: dict[str, Literal["female", "male", "other"]] = {}
    shares: dict[Split, float] | None = Field(None, description="for groups without a split")
    storage: Storage | None = Field(None, description="instead of the build's own")

    @model_validator(mode="after")
    def _options_are_known(self) -> Self:
        if not self.options and not self.labels:
            raise ValueError("name the options, or map the labels to them")
        return self

    @property
    def answers(self) -> tuple[str, ...]:
        """The options in the order given, or the mapped labels in order of first use."""
        names = self.options or tuple(dict.fromkeys(self.labels.values()))
        return names if self.none is None or self.none in names else (*names, self.none)


def parse_mapping(kind: type[M], content: Any, *, source: str) -> M:
    """A validated mapping of a source; UsageError names the field at fault."""
    fix = f"`qoqdata sources {source}` shows an example"
    return checked(kind, content, where=f"mapping of {source}", fix=fix)


def complete_card(card: Card, mapping: Mapping, *, modality: str, **changes: Any) -> Card:
    """The card of the user's source: the generic card with the mapping filled in.

    Raw paths and ids enter its records as keyed hashes only.
    """
    answers = mapping.answers
    none = {} if mapping.none is None else {mapping.none: mapping.none}
    splits = Splits(rule="official" if mapping.table and mapping.table.split else "hash")
    content = card.model_dump() | {
        "slug": mapping.slug,
        "name": mapping.name,
        "domain": mapping.domain,
        "modality": modality,
        "licence": {"name": mapping.licence},
        "access": "own",
        "redistribution": mapping.redistribution,
        "citation": mapping.citation,
        "tasks": {
            mapping.task: {
                "kind": mapping.kind,
                "question": mapping.question,
                "options": answers,
            }
        },
        "labels": (mapping.labels or {answer: answer for answer in answers}) | none,
        "mask_codes": mapping.mask_codes,
        "splits": splits.model_dump() | ({"shares": mapping.shares} if mapping.shares else {}),
        "raw_paths": "keyed",
        "needs_mapping": False,
    }
    return parse_card(content | changes, where=f"mapping of {card.slug}")
