"""What a selection is to be: its size, its bounds, and what it is to be like within these."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StrictFloat, StrictInt, model_validator

from qoqdata.contract.vocabulary import Split
from qoqdata.settings import checked, load_mapping

#: What records are told apart by. `label` is of what a record asserts; `difficulty` is 1 less its
#: success rate.
Attribute = Literal[
    "domain",
    "source",
    "modality",
    "task",
    "kind",
    "licence",
    "redistribution",
    "sex",
    "label",
    "age",
    "difficulty",
]
#: A whole number is of records; a number with a point is a share of the selection.
Amount = Annotated[StrictInt, Field(ge=0)] | Annotated[StrictFloat, Field(ge=0, le=1)]
_RANGES = ("age", "difficulty")


class Bound(BaseModel):
    """How many records of the selection may, or must, be of one value, or of a range: from its
    first number on and below its second, or up to it where that is the largest there is."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Attribute
    value: str | None = None
    range: tuple[float, float] | None = None
    at_least: Amount | None = None
    at_most: Amount | None = None

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        wanted = "range" if self.by in _RANGES else "value"
        if getattr(self, wanted) is None or (self.value is not None and self.range is not None):
            raise ValueError(f"a bound by {self.by} needs a {wanted}, and no other")
        if self.range is not None and not self.range[0] <= self.range[1]:
            raise ValueError("a range goes from the smaller number to the larger")
        if self.at_least is None and self.at_most is None:
            raise ValueError("a bound needs at_least, at_most, or both")
        return self

    def __str__(self) -> str:
        named = self.value if self.range is None else f"{self.range[0]:g} to {self.range[1]:g}"
        limits = [
            f"{word} {amount:,}" if isinstance(amount, int) else f"{word} {amount:.2%}"
            for word, amount in (("at least", self.at_least), ("at most", self.at_most))
            if amount is not None
        ]
        return f"{self.by} {named}: {' and '.join(limits)}"


class Balance(BaseModel):
    """By what a selection is weighed, and which shares its parts are to have: those of the records
    that it is drawn from, equal ones, or stated ones, which are made to sum to 1."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    by: Literal["domain", "source", "modality", "task", "kind", "sex"] = "source"
    shares: Literal["as_they_are", "equal"] | dict[str, float] = "as_they_are"

    @model_validator(mode="after")
    def _sums_to_something(self) -> Self:
        if isinstance(self.shares, dict):
            low, total = min(self.shares.values(), default=0), sum(self.shares.values())
            if low < 0 or not 0 < total < float("inf"):
                raise ValueError("shares are not negative, and one is above 0")
        return self


class SelectionTarget(BaseModel):
    """`size` records of `split`, within `bounds`, as close to the shares of `balance` as can be.

    `whole` keeps all records of a study or patient together, in or out; the size may then be missed
    by the share `within`. Of records that are alike to all bounds those with the lowest hash of
    `seed` and key are taken. `policy` is whose success rates are meant.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: int = Field(ge=1)
    split: Split = "train"
    whole: Literal["record", "study", "patient"] = "record"
    within: float = Field(0.01, ge=0, lt=1)
    bounds: tuple[Bound, ...] = ()
    balance: Balance = Balance()
    seed: int = 0
    policy: str | None = None


def load_target(path: Path) -> SelectionTarget:
    """The target at `path`; UsageError names the field at fault."""
    return checked(SelectionTarget, load_mapping(path), where=str(path))
