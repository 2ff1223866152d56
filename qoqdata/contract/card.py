"""The schema of a source card: everything about a source that is data rather than code."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from qoqdata.contract.holdout import Block, PatientSplits
from qoqdata.contract.storage import Storage
from qoqdata.contract.task import LabelsTable, Task, Text, or_table
from qoqdata.contract.vocabulary import (
    ACCESS,
    BASES,
    MODALITIES,
    OTHER_DOMAIN,
    RECORD_DOMAINS,
    REDISTRIBUTION,
    SourceRole,
    Split,
)

VERSION = 1

#: Names of sources, also in paths and commands.
SLUG = r"^[a-z][a-z0-9_]{1,63}$"
Slug = Annotated[str, Field(pattern=SLUG)]


def _one_spelling(code: object) -> object:
    """Keys are text in YAML: 1 and 01 would be one code, and one of their names would be lost."""
    if isinstance(code, str) and not (code.isdecimal() and str(int(code)) == code):
        raise ValueError(f"{code!r} is no whole number as it is written")
    return code


#: Masks are stored as PNG of 8 or 16 bits.
MaskCode = Annotated[int, Field(ge=0, le=65535), BeforeValidator(_one_spelling)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Licence(_Part):
    """Terms of the raw data."""

    name: Text
    spdx: str | None = Field(None, description="SPDX identifier, where one exists")
    url: str | None = None
    note: str | None = Field(None, description="doubts, and how they were settled")


class Keys(_Part):
    """Which raw fields name a study, a patient and the group that must stay in one split."""

    study: Text
    patient: str | None = Field(None, description="null where the source names no patient")
    group: Text
    namespace: Slug | None = Field(
        None, description="shared by sources of the same patients, so that their splits agree"
    )


class Splits(_Part):
    """How a unit gets its split. Official splits win; groups never straddle."""

    rule: Literal["official", "hash"]
    note: str | None = Field(None, description="which field or list is official")
    shares: dict[Split, float] = Field(
        default={"train": 0.8, "validation": 0.1, "test": 0.1},
        description="shares of the groups, for units without an official split",
    )
    conflict: Literal["refuse"] | Split = Field(
        "refuse", description="where a group that an official split tears goes"
    )
    patients: PatientSplits | None = Field(
        None, description="the official list that all sources of the namespace follow"
    )

    @field_validator("shares")
    @classmethod
    def _shares_sum(cls, shares: dict[Split, float]) -> dict[Split, float]:
        if abs(sum(shares.values()) - 1) > 1e-9 or min(shares.values()) < 0:
            raise ValueError("shares must not be negative and must sum to 1")
        return shares


class Option(_Part):
    """A knob of the converter: set in build.yaml, checked against its default's type."""

    default: bool | int | float | str | None
    doc: Text
    choices: tuple[str, ...] | None = None


class ExpectedCounts(_Part):
    """Counts of a complete copy; null is not compared."""

    units: int | None = Field(None, description="everything that planning discovers")
    records: int | None = None
    patients: int | None = Field(None, description="distinct ones of the units that are converted")


class ExpectedTable(_Part):
    """A table that copies of the source have under different names."""

    rows: int
    other_names: tuple[Text, ...] = Field(description="counted where the first is not there")


class ExpectedLabels(_Part):
    """How often each label is right in a complete copy, as it was published."""

    counts: dict[Text, Annotated[int, Field(ge=0)]] = Field(
        min_length=2, description="questions of the task by right label; all labels that it has"
    )
    questions: Annotated[int, Field(ge=1)] | None = Field(
        None, description="of a multi task, where it is published: how many are asked"
    )
    split: Split | None = Field(None, description="null: of all splits")
    according_to: Text = Field(description="where the figures are from")


class Expected(ExpectedCounts):
    """Counts of a complete copy, which every build compares with its own."""

    by_split: dict[Split, ExpectedCounts] = Field(
        {}, description="units of a split are those that planning left nothing to say against"
    )
    tables: dict[Text, int | ExpectedTable] = Field(
        {}, description="rows of a table, by its path below the root or by its name alone"
    )
    labels: dict[Slug, ExpectedLabels] = Field(
        {}, description="by task; `qoqdata audit` holds the answers of a set against them"
    )
    note: str | None = None


Basis = Literal[BASES]  # type: ignore[valid-type]


class Verified(_Part):
    """Where what the converter takes for granted was seen; null where there is no such fact."""

    tables: Basis | None = Field(None, description="names, columns, codes and values of tables")
    files: Basis | None = Field(None, description="names and content of images, masks, signals")
    counts: Basis | None = Field(None, description="the counts that are expected")


class Card(_Part):
    """One source: what it is, what may be done with it, and how its labels become answers."""

    slug: Slug
    name: Text
    version: Annotated[int, Field(ge=1, description="raise it when conversion changes")]
    role: SourceRole = Field(
        "training", description="evaluation: a benchmark, refused in training whatever the split"
    )
    domain: Literal[RECORD_DOMAINS]  # type: ignore[valid-type]
    modality: Literal[MODALITIES]  # type: ignore[valid-type]
    summary: Text
    licence: Licence
    access: Literal[ACCESS]  # type: ignore[valid-type]
    redistribution: Literal[REDISTRIBUTION]  # type: ignore[valid-type]
    citation: Text
    homepage: Text | None = Field(None, description="null for your own files only")
    get: Annotated[str, Field(min_length=1, description="how to obtain the raw files")]
    layout: Annotated[str, Field(min_length=1, description="the raw tree below --raw")]
    keys: Keys
    tasks: dict[Slug, Task]
    labels: dict[str, str] = Field(
        {},
        description="raw label to option, for all tasks",
        json_schema_extra=or_table(LabelsTable),
    )
    mask_codes: dict[MaskCode, Text] = Field({}, description="code in stored masks to its name")
    splits: Splits
    block: tuple[Block, ...] = Field(
        (), description="cases of other sources, or its own, that must not be in train"
    )
    options: dict[Slug, Option] = {}
    expected: Expected = Expected()
    raw_paths: Literal["public", "keyed"] = Field(
        "public", description="keyed: raw paths and ids enter records only as keyed hashes"
    )
    shard_units: Annotated[int, Field(ge=1)] = Field(512, description="largest mean units a shard")
    storage: Storage | None = Field(
        None, description="how its pixels are stored where no user says so; null: the default"
    )
    verified: Verified = Verified()
    qoq_med: bool = Field(
        False, description="part of the set of 2.61 million records of QoQ-Med (arXiv 2506.00711)"
    )
    known_issues: tuple[Text, ...] = ()
    needs_mapping: bool = Field(
        False, description="the source is driven by the user's mapping, which completes the card"
    )

    @model_validator(mode="after")
    def _public_sources_have_a_home(self) -> Self:
        if self.homepage is None and self.access != "own":
            raise ValueError("homepage is missing: where does the source live?")
        return self

    @model_validator(mode="after")
    def _training_has_a_domain(self) -> Self:
        if self.domain == OTHER_DOMAIN and self.role != "evaluation":
            raise ValueError(f"the domain {OTHER_DOMAIN} is for evaluation sources only")
        return self

    @model_validator(mode="after")
    def _lists_of_patients_have_a_namespace(self) -> Self:
        if self.splits.patients is not None and self.keys.namespace is None:
            raise ValueError("splits.patients needs keys.namespace: whose patients are they?")
        return self

    @model_validator(mode="after")
    def _labels_map_to_options(self) -> Self:
        options = {option for task in self.tasks.values() for option in task.options or ()}
        stray = sorted(set(self.labels.values()) - options)
        if stray and not self.needs_mapping:
            raise ValueError(f"labels map to {stray}, which no task offers")
        if not self.tasks and not self.needs_mapping:
            raise ValueError("a card needs at least one task")
        return self

    @model_validator(mode="after")
    def _counted_labels_are_options(self) -> Self:
        for name, expected in self.expected.labels.items():
            task = self.tasks.get(name)
            if task is None or task.options is None:
                raise ValueError(f"expected.labels counts {name}, which is no task with options")
            if stray := sorted(set(expected.counts) - set(task.options)):
                raise ValueError(f"expected.labels counts {stray}, which {name} does not offer")
            if expected.questions is not None and task.kind != "multi":
                raise ValueError(f"expected.labels.{name}: questions are the sum of the counts")
        return self
