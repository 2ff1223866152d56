"""What a build leaves of the raw keys it saw, so that a publication can look for them.

Of a private source: the keys of units, patients and groups, the names of raw files and of their
folders, and the identifiers in tables and headers, also of what ended in quarantine. Of a source
whose raw paths are public, paths and ids of studies are as well; its patients are looked for.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from qoqdata.atomic import replacing
from qoqdata.contract.card import Card
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.pipeline import quarantine
from qoqdata.pipeline.planning import SourcePlan
from qoqdata.readers.identifiers import Identifiers
from qoqdata.records.identity import Salt
from qoqdata.records.raw_keys import ENTRY, distinct, pack
from qoqdata.sources.unit_table import all_files

_DIGIT = re.compile(r"\d")
_SEVERAL_WORDS = re.compile(r"\w[\W_]+\w")
#: As every data set calls its own shards.
_SHARD = re.compile(rf"(?:{'|'.join(SPLITS)})[-_ ]?[0-9]{{5}}(?:\..*)?", re.IGNORECASE)


def packed(identifiers: Identifiers, card: Card, salt: Salt) -> str:
    """Entries of identifiers as text for a receipt."""
    entries = pack(_to_be_found(identifiers, card), salt)
    return base64.b64encode(entries.tobytes()).decode()


def plan_keys(plan: SourcePlan, identifiers: Identifiers, card: Card, salt: Salt) -> np.ndarray:
    """Entries of everything that planning found; `identifiers` are those it came across."""
    table = plan.table
    known = Identifiers(persons=_texts(table["patient"]))
    if card.raw_paths == "keyed":
        rows = plan.left_out
        paths = _texts(all_files(table)) | {path for row in rows for path in row["raw"]}
        known.objects |= _texts(table["key"]) | _texts(table["group"])
        known.objects.update(row["unit"] for row in rows if row["unit"] != quarantine.WHOLE_SOURCE)
        known.objects.update(_names(paths))
    known.add(identifiers)
    return pack(_to_be_found(known, card), salt)


def write_raw_keys(path: Path, entries: np.ndarray, in_receipts: Iterable[str]) -> None:
    """Write the entries of a source: those of its plan, and those that receipts hold."""
    packed_ = [np.frombuffer(base64.b64decode(text), ENTRY) for text in in_receipts]
    with replacing(path) as draft:
        draft.write_bytes(distinct(np.concatenate([entries, *packed_])).tobytes())


def _to_be_found(identifiers: Identifiers, card: Card) -> set[str]:
    keys = set(identifiers.persons)
    if card.raw_paths == "keyed":
        keys |= identifiers.objects
    return {key for key in keys if not _SHARD.fullmatch(key)}


def _texts(column: pl.Series) -> set[str]:
    return set(column.drop_nulls())


def _names(paths: Iterable[str]) -> Iterator[str]:
    """Each folder, file and member that paths name, and files without their extensions.

    One word without a digit is nobody's: `labels.csv`, `films`.
    """
    for part in {part for path in paths for part in path.replace("#", "/").split("/")}:
        for name in {part, part.partition(".")[0], part.rpartition(".")[0]}:
            if _DIGIT.search(name) or (_SEVERAL_WORDS.search(name) and "." not in name):
                yield name
