"""Losses that nothing in a raw tree betrays, as a source states them in `example/losses.yaml`.

    findings.csv:
      rows: a further finding of a reader stands in no other place
    "*.jpg":
      file: the folders are the only list of images

Names a table or a pattern of other files, a kind of damage (rows or column; file for a file that is
not there, or cut), and why no converter can notice it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import RootModel

from qoqdata.contract.task import Text
from qoqdata.settings import checked, load_yaml
from qoqdata.sources.protocol import Source

LOSSES = "losses.yaml"
Kind = Literal["rows", "column", "file"]


class Losses(RootModel[dict[str, dict[Kind, Text]]]):
    """For a table or a pattern, the kinds of damage that go unnoticed, each with the reason."""


def read_losses(source: Source) -> Mapping[str, Mapping[Kind, str]]:
    """What a source states; nothing without a file. Raises CardError for a file at fault."""
    path = source.folder / "example" / LOSSES
    if not path.is_file():
        return {}
    return checked(Losses, load_yaml(path), where=str(path)).root
