"""A curation recipe: what to do with what the rules find."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.curation.hamming import RADIUS_MOST
from qoqdata.curation.quality import Fault
from qoqdata.settings import checked, load_mapping


class Decision(BaseModel):
    """What a person has decided about findings. Fields left out match all; one of them is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    why: str = Field(min_length=1, description="kept with the recipe, for whoever reads it")
    rule: str | None = None
    id: str | None = None
    source: str | None = None
    column: str | None = None

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if self.model_fields_set <= {"why"}:
            raise ValueError("name a rule, id, source or column: it would match every finding")
        return self


class Phi(BaseModel):
    """What becomes of records with protected health information.

    `hold` holds them back until somebody decides: they are not trained on and do not leave. `drop`
    leaves them out for good, `open` keeps them for work on this machine, and nothing can be
    published. `accept` calls findings harmless, `drop` drops the records of others, and wins.
    `presidio` has spaCy models that are on this machine, by language, as in {en: en_core_web_lg}.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    on_finding: Literal["hold", "drop", "open"] = "hold"
    accept: tuple[Decision, ...] = ()
    drop: tuple[Decision, ...] = ()
    presidio: dict[str, str] = {}


class Likeness(BaseModel):
    """When two images, or signals, show the same: their fingerprints are at most `radius` of 64
    bits apart, and the details of two images correlate by `detail` or more. A wider radius finds
    more copies with other windows, and takes longer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    radius: int = Field(6, ge=0, le=RADIUS_MOST)
    detail: float = Field(0.85, gt=0, le=1)


class Leakage(BaseModel):
    """Images and signals that stand in two splits. `drop` removes the record that is trained on
    sooner, `report` leaves it, `skip` does not look."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on_finding: Literal["drop", "report", "skip"] = "drop"


class Benchmarks(BaseModel):
    """Records that show an image or signal of a benchmark, where an index of one is given. `drop`
    removes those of the training split; those of others, and all with `report`, are told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on_finding: Literal["drop", "report"] = "drop"


class Duplicates(BaseModel):
    """Records of one split that ask the same of the same. `equal` ones have equal pixels or
    samples, `alike` ones show the same encoded, scaled, windowed, flipped or turned otherwise. Only
    the training split is thinned: what others measure stays what it is, and is reported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    equal: Literal["drop", "report"] = "drop"
    alike: Literal["drop", "report"] = "report"


class Quality(BaseModel):
    """Faults of images and signals whose records are dropped; all others are reported."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    drop: tuple[Fault, ...] = ("blank", "flat")


class LabelErrors(BaseModel):
    """Answers of training records that the last `qoqdata audit --label-errors` called likely wrong.
    `drop` removes the record, with the likelier answer as evidence; `report` leaves it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on_finding: Literal["drop", "report"] = "report"


class AcceptedPixels(BaseModel):
    """Findings in pixels that a person has looked at and calls harmless, such as the scale of a
    device. Fields left out match all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    why: str = Field(min_length=1, description="kept in the report")
    id: str | None = None
    image: int | None = None
    evidence: Literal["screen", "ocr", "header"] | None = None


class BurnedIn(BaseModel):
    """Text burned into images. `open` leaves findings to be decided, and their source's pixels
    cannot be published until they are; `blank` blackens their boxes in what is published, `drop`
    removes the records."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    on_finding: Literal["open", "blank", "drop"] = "open"
    accept: tuple[AcceptedPixels, ...] = ()


class CurationRecipe(BaseModel):
    """All curation settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    phi: Phi = Phi()
    likeness: Likeness = Likeness()
    leakage: Leakage = Leakage()
    benchmarks: Benchmarks = Benchmarks()
    duplicates: Duplicates = Duplicates()
    quality: Quality = Quality()
    label_errors: LabelErrors = LabelErrors()
    burned_in: BurnedIn = BurnedIn()


def load_recipe(path: Path | None) -> CurationRecipe:
    """The recipe at `path`, or the default one; UsageError names the field at fault."""
    return (
        CurationRecipe()
        if path is None
        else checked(CurationRecipe, load_mapping(path), where=str(path))
    )
