"""A task of a source card: what is asked, what an answer may be, and what counts as right."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.contract.vocabulary import LABEL_SEPARATORS, TaskKind

Text = Annotated[str, Field(min_length=1)]

_NUMBER = re.compile(r"\d+(?:\.\d+)?")
#: What a JSON Schema says about a field beside its type.
_ANNOTATIONS = ("default", "description", "title")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OptionsTable(_Part):
    """Options in a file beside card.yaml: a CSV column, or a YAML list.

    Cells come in the order of the table, each once.
    """

    file: Text
    column: Text | None = Field(None, description="of a CSV; a YAML file is the list itself")


class LabelsTable(_Part):
    """A label map in a file beside card.yaml: two CSV columns, or a YAML mapping."""

    file: Text
    key: Text | None = Field(None, description="CSV column of raw labels")
    value: Text | None = Field(None, description="CSV column of the options they map to")


def or_table(table: type[BaseModel]) -> Callable[[dict[str, Any]], None]:
    """Adds `table` to a field's JSON Schema: card.yaml may name a file where a built card lists."""

    def change(schema: dict[str, Any]) -> None:
        own = {name: schema.pop(name) for name in (*schema,) if name not in _ANNOTATIONS}
        schema["anyOf"] = [
            *own.pop("anyOf", ()),
            *([own] if own else ()),
            table.model_json_schema(),
        ]

    return change


class Task(_Part):
    """One question asked of the studies of the source.

    A number task without options asks for a quantity in a unit; with options it is ordinal: they
    ascend, and the tolerance counts places.
    """

    kind: TaskKind
    question: Text | None = Field(
        None, description="left out where each record brings its own, as published questions do"
    )
    forms: tuple[Text, ...] = Field((), description="further wordings; a record's id picks one")
    options: tuple[Text, ...] | None = Field(
        None,
        description="of single, multi and ordinal tasks, or a file that lists them",
        json_schema_extra=or_table(OptionsTable),
    )
    labels: dict[str, str] = Field(
        {},
        description="raw label to option of this task; goes before the card's labels",
        json_schema_extra=or_table(LabelsTable),
    )
    unit: str | None = Field(
        None,
        pattern=r"^[!-~]+$",
        description="UCUM code of a quantity, such as mm, % or mm[Hg]; 1 where it has no dimension",
    )
    tolerance: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = Field(
        None, description="largest error that is right: in the unit, or in places (default 0)"
    )
    note: str | None = None

    @property
    def ordinal(self) -> bool:
        """Whether the answer is one of options that ascend."""
        return self.kind == "number" and self.options is not None

    @property
    def wordings(self) -> tuple[str, ...]:
        """The question and its further forms; none where each record brings its own."""
        return () if self.question is None else (self.question, *self.forms)

    @model_validator(mode="after")
    def _wordings_differ(self) -> Self:
        if self.question is None and (self.forms or self.kind not in ("choice", "open")):
            raise ValueError("only a choice or open task without forms may leave out its question")
        if len({self.question, *self.forms}) <= len(self.forms):
            raise ValueError("forms repeat a wording")
        return self

    @model_validator(mode="after")
    def _options_fit_the_kind(self) -> Self:
        options = self.options or ()
        if self.kind in ("single", "multi"):
            if not options:
                raise ValueError(f"a {self.kind} task needs options")
            for option in options:
                if mark := next((mark for mark in LABEL_SEPARATORS if mark in option), None):
                    raise ValueError(
                        f"option {option!r} holds {mark!r}, which the scorer splits on"
                    )
        elif self.kind == "choice" and self.options is not None:
            raise ValueError("a choice task has no options of its own: each record brings its own")
        elif self.kind in ("boxes", "open") and self.options is not None:
            raise ValueError(f"a {self.kind} task has no options")
        if len(set(options)) < len(options):
            raise ValueError("options repeat")
        if stray := sorted(set(self.labels.values()) - set(options)):
            raise ValueError(f"labels map to {stray}, which the task does not offer")
        return self

    @model_validator(mode="after")
    def _numbers_can_be_judged(self) -> Self:
        if self.kind != "number":
            if self.unit is not None or self.tolerance is not None:
                raise ValueError(f"a {self.kind} task has neither unit nor tolerance")
        elif self.options is None:
            if self.unit is None:
                raise ValueError(
                    "a number task needs a unit (UCUM; 1 where it has no dimension), or options"
                )
            if self.tolerance is None:
                raise ValueError("a quantity needs a tolerance: the largest error that is right")
        else:
            self._grades_are_in_places()
        return self

    def _grades_are_in_places(self) -> None:
        options, tolerance = self.options or (), self.tolerance or 0.0
        if len(options) < 2:
            raise ValueError("an ordinal task needs at least two options, in ascending order")
        if self.unit is not None:
            raise ValueError("an ordinal task has no unit: its options are the answers")
        if tolerance != int(tolerance) or tolerance >= len(options) - 1:
            raise ValueError(
                f"the tolerance of an ordinal task counts places, 0 to {len(options) - 2}"
            )
        if fall := _first_fall(options):
            raise ValueError(f"options must ascend, and {fall[1]!r} comes after {fall[0]!r}")


def _first_fall(options: tuple[str, ...]) -> tuple[str, str] | None:
    """The first neighbours that fall, of options that differ in one number each ("Grade 2")."""
    found = [_NUMBER.findall(option) for option in options]
    if len({_NUMBER.sub("", option) for option in options}) > 1 or {*map(len, found)} != {1}:
        return None
    numbers = [float(number) for (number,) in found]
    falls = (n for n in range(1, len(numbers)) if numbers[n] <= numbers[n - 1])
    place = next(falls, None)
    return None if place is None else (options[place - 1], options[place])
