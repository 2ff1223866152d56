"""Parts of a card that keep cases out of train: block lists, and a namespace's list of splits."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.contract.task import OptionsTable, Text, or_table
from qoqdata.contract.vocabulary import Split


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Block(_Part):
    """Cases of a source that a benchmark uses, so that they must never be in train.

    A case takes its group along, as any split does. Groups outside train stay where they are.
    """

    source: Text = Field(
        description="slug of the source, or a namespace: then all sources of its patients follow"
    )
    reason: Text = Field(description="which benchmark uses the cases, and where that is stated")
    keys: tuple[Text, ...] = Field(
        (), description="unit keys, or a file", json_schema_extra=or_table(OptionsTable)
    )
    patients: tuple[Text, ...] = Field(
        (), description="raw patient keys, or a file", json_schema_extra=or_table(OptionsTable)
    )
    digests: tuple[Text, ...] = Field(
        (),
        description="of single raw files, as in the provenance of a record made of that file alone,"
        " or a file; planning then reads every raw file that would be in train",
        json_schema_extra=or_table(OptionsTable),
    )
    to: Literal["validation", "test", "filter"] = Field(
        "test", description="the split they go to, or filter: left out and counted"
    )

    @model_validator(mode="after")
    def _names_cases(self) -> Self:
        if not (self.keys or self.patients or self.digests):
            raise ValueError("a block list names keys, patients or digests")
        return self


class PatientSplits(_Part):
    """Where the official splits of a namespace's patients are: a table with a row or more each.

    Each card names the table where its own users may have it: below the raw root or in a mount. It
    need not be there when another source of the build, an earlier build of the same data set or
    the configuration has the list.
    """

    file: Text
    key: Text = Field(description="column of raw patient keys, as units name them")
    split: Text = Field(description="column of splits")
    values: dict[str, Split] = Field(description="the column's words to splits")
    source: Text | None = Field(None, description="slug of the source whose files hold the table")
