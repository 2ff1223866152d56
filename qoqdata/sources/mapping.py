"""Mappings: how a user's own files become a source, as a YAML file.

A mapping names the source, its terms, the question and its labels, and where the labels are: a
table (CSV) joined by key, or the files' own headers.
"""

from __future__ import annotations

from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.contract.card import Card, ExpectedLabels, MaskCode, Slug, Splits
from qoqdata.contract.storage import Storage
from qoqdata.contract.task import Text
from qoqdata.contract.vocabulary import DOMAINS, REDISTRIBUTION, Split, TaskKind
from qoqdata.settings import checked
from qoqdata.sources.card import parse_card

M = TypeVar("M", bound="Mapping")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TableColumns(_Part):
    """A CSV with one row a key, or a key and item. All columns are read as text.

    Only `file` and `key` are needed, and a column of labels or of answers.
    """

    file: Text = Field(description="path of the table below the raw folder")
    key: Text = Field(description="column whose values name the files (see the source's card)")
    separator: str = Field(",", pattern=r"^[\t -!#-~]$", description="one character, not a quote")
    labels: Text | tuple[Text, ...] | None = Field(
        None,
        description="a column of labels, or columns named like labels with 1, 0, -1 or blank",
    )
    label_separator: str | None = Field(None, description="splits a cell of several labels")
    item: str | None = Field(
        None, description="what tells rows of one key apart, each a question; in records as it is"
    )
    question: str | None = Field(None, description="a row's own wording; blank: the mapping's")
    answer: str | None = Field(
        None, description="of kind number a number, of choice an option or its column, of open text"
    )
    options: Text | tuple[Text, ...] | None = Field(
        None, description="of kind choice: columns of an option each, or one column of them all"
    )
    option_separator: str = Field("|", min_length=1, description="splits one column of options")
    unit: str | None = Field(None, description="unit of each number, which must be the mapping's")
    patient: str | None = Field(
        None, description="whom the row is of; without it splits keep files apart, not patients"
    )
    group: str | None = Field(
        None, description="what must stay in one split beside a patient; default: patient"
    )
    split: str | None = Field(None, description="official split; default: by hash of the group")
    age: str | None = Field(None, description="in years, or with its unit, as 061Y, 18 months")
    sex: str | None = Field(None, description="as spelled; other words need sex_values")
    context: str | None = Field(None, description="report or notes that the question refers to")


class Measure(_Part):
    """What makes a number right."""

    unit: str | None = Field(None, description="UCUM code of a quantity; 1: it has no dimension")
    tolerance: float | None = Field(
        None, description="largest error that is right: in the unit or, of grades, in places"
    )


class Mapping(_Part):
    """What every bring-your-own source needs to know."""

    slug: Slug = Field(description="name of your source in paths and columns")
    name: Text = Field(description="its name for people")
    domain: Literal[DOMAINS] = Field(  # type: ignore[valid-type]
        description="clinical domain, what rarity and weights are counted by"
    )
    licence: Text = Field("private", description="its terms in words")
    redistribution: Literal[REDISTRIBUTION] = Field(  # type: ignore[valid-type]
        "forbidden", description="what may leave with a publication"
    )
    citation: Text = Field("unpublished", description="how it is cited")
    question: Text = Field(description="what is asked of each file")
    forms: tuple[Text, ...] = Field((), description="further wordings; a record's id picks one")
    kind: TaskKind = Field(
        "single", description="single, multi, choice, number, boxes (from masks) or open"
    )
    number: Measure = Field(Measure(), description="of kind number: unit and tolerance")
    task: Slug = Field("diagnosis", description="name of the question in records and figures")
    options: tuple[Text, ...] | None = Field(
        None, description="default: what the labels map to; of grades (kind number) they ascend"
    )
    labels: dict[str, str] = Field({}, description="raw label to option; default: as they are")
    none: str | None = Field(
        None, description="option for a row whose label columns are all explicitly absent"
    )
    mask_codes: dict[MaskCode, Text] = Field({}, description="what each code of a mask encloses")
    table: TableColumns | None = Field(None, description="the CSV and its columns: see below")
    ignore: tuple[Text, ...] = Field(
        (), description="patterns of files that are not looked at, as *.txt or backup/**"
    )
    split_values: dict[str, Split] = Field({}, description="the split column's words to splits")
    sex_values: dict[str, Literal["female", "male", "other"]] = Field(
        {}, description="the sex column's words, where they are none of the usual ones"
    )
    shares: dict[Split, float] | None = Field(None, description="for groups without a split")
    storage: Storage | None = Field(None, description="instead of the build's own")
    expected: ExpectedLabels | None = Field(
        None, description="how often each option is right in a complete copy, for `qoqdata audit`"
    )

    @model_validator(mode="after")
    def _answers_come_from_somewhere(self) -> Self:
        if self.from_labels:
            self._check_labels()
            return self
        if self.options or self.labels or self.none:
            raise ValueError(f"kind {self.kind} has no options, labels or none in the mapping")
        if self.kind == "boxes":
            if not self.draws_boxes:
                raise ValueError("kind boxes takes its boxes from masks, and none are named")
            return self
        if self.table is None or not self.table.answer:
            hint = " (or options that ascend, for grades)" if self.kind == "number" else ""
            raise ValueError(f"kind {self.kind} needs the table's answer column{hint}")
        if self.table.labels:
            raise ValueError(f"kind {self.kind} has answers, not labels: name table.answer only")
        if (self.kind == "choice") != bool(self.table.options):
            needs = "kind choice needs" if self.kind == "choice" else "only kind choice has"
            raise ValueError(f"{needs} the table's options: a column each, or one of them all")
        return self

    def _check_labels(self) -> None:
        if not self.options and not self.labels:
            raise ValueError("name the options, or map the labels to them")
        if self.table and (self.table.answer or self.table.options):
            what = "grades have" if self.kind == "number" else f"kind {self.kind} has"
            raise ValueError(f"{what} labels, not answers: name the column under table.labels")
        columns = self.table.labels if self.table else None
        for name in columns if isinstance(columns, tuple) else ():
            if name not in (self.labels or self.answers):
                raise ValueError(f"the label column {name!r} is not among the labels")

    @property
    def from_labels(self) -> bool:
        """Whether answers are labels that map to options: of grades too."""
        graded = self.kind == "number" and bool(self.options or self.labels)
        return graded or self.kind in ("single", "multi")

    @property
    def draws_boxes(self) -> bool:
        """Whether the source draws boxes, which a question may ask for."""
        return False

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
    labels = {} if mapping.expected is None else {mapping.task: mapping.expected.model_dump()}
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
                "forms": mapping.forms,
                "options": answers or None,
                **mapping.number.model_dump(),
            }
        },
        "labels": (mapping.labels or {answer: answer for answer in answers}) | none,
        "mask_codes": mapping.mask_codes,
        "splits": splits.model_dump() | ({"shares": mapping.shares} if mapping.shares else {}),
        "expected": {"labels": labels},
        "raw_paths": "keyed",
        "needs_mapping": False,
    }
    return parse_card(content | changes, where=f"mapping of {card.slug}")
