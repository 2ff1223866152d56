"""The privacy gate: what must not leave, looked for in every byte that would.

Three things are searched for: the site's salt in any spelling, absolute paths of this machine,
and raw keys of private sources. Raw keys are not kept anywhere, so they are recognised by their
keyed hash: a word whose hash is a patient or study of the set is that patient's or study's key.
"""

from __future__ import annotations

import base64
import mmap
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from qoqdata.dataset import Dataset
from qoqdata.records.identity import Salt, keyed

#: Folders in which people keep data; a path below one names a machine, often a person.
_PATH = re.compile(
    r"(?<![\w./:-])(?:/(?:home|users|root|mnt|media|scratch|gpfs|lustre|nfs|tmp|var|private)/"
    r"|[a-z]:\\(?:users|data)\\)[^\s\"']+",
    re.IGNORECASE,
)
_WORD = re.compile(r"[\w.-]{4,64}")


@dataclass(frozen=True)
class Leak:
    """Something that must not leave; `what` says the kind, never the thing itself."""

    file: str
    what: str


@dataclass(frozen=True)
class Secrets:
    """What to look for: byte strings by kind, and who can be recognised by hash."""

    needles: Mapping[str, tuple[bytes, ...]]
    salt: Salt
    pseudonyms: frozenset[str]
    namespaces: tuple[str, ...]


def secrets_of(dataset: Dataset, salt: Salt) -> Secrets:
    """The secrets of a data set as built with `salt`."""
    private = {slug: card for slug, card in dataset.cards.items() if card.raw_paths == "keyed"}
    light = dataset.metadata().filter(pl.col("source").is_in(list(private)))
    names = {*light["patient"].drop_nulls(), *light["study"]}
    spaces = {space for s, card in private.items() for space in (s, card.keys.namespace) if space}
    secret = salt.secret
    spellings = (secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode())
    home = str(Path.home())
    return Secrets(
        needles={
            "the site's salt": (secret, *(text.encode() for text in spellings)),
            "a path of this machine": tuple(
                {str(dataset.root.resolve()).encode(), *([home.encode()] if len(home) > 5 else [])}
            ),
        },
        salt=salt,
        pseudonyms=frozenset(names),
        namespaces=tuple(sorted(spaces)),
    )


def scan_outgoing(root: Path, secrets: Secrets) -> list[Leak]:
    """Every leak in the files below `root`, by file."""
    leaks: set[tuple[str, str]] = set()
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        name = str(path.relative_to(root))
        leaks |= {(name, what) for what in _in_bytes(path, secrets)}
        leaks |= {(name, what) for text in _texts(path) for what in _in_text(text, secrets)}
    return [Leak(file, what) for file, what in sorted(leaks)]


def _in_bytes(path: Path, secrets: Secrets) -> Iterator[str]:
    if path.stat().st_size == 0:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for what, needles in secrets.needles.items():
            if any(data.find(needle) >= 0 for needle in needles):
                yield what


def _in_text(text: str, secrets: Secrets) -> Iterator[str]:
    raw = text.encode()
    for what, needles in secrets.needles.items():
        if any(needle in raw for needle in needles):
            yield what
    if _PATH.search(text):
        yield "an absolute path"
    if secrets.pseudonyms and any(_names(word, secrets) for word in set(_WORD.findall(text))):
        yield "a raw patient or study key"


def _names(word: str, secrets: Secrets) -> bool:
    return any(
        keyed(kind, space, word, salt=secrets.salt) in secrets.pseudonyms
        for kind in ("patient", "study")
        for space in secrets.namespaces
    )


def _texts(path: Path) -> Iterator[str]:
    """The texts in a file: strings of a Parquet file (they are compressed), others whole."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            columns = [leaf for field in file.schema_arrow for leaf in _strings(field)]
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, columns=columns)
                yield "\n".join(sorted({text for column in table for text in _flat(column)}))
    elif path.suffix in (".json", ".md", ".csv", ".svg", ".yaml", ".jsonl"):
        yield path.read_text(encoding="utf-8", errors="replace")


def _strings(field: pa.Field, path: str = "") -> Iterator[str]:
    path = f"{path}.{field.name}" if path else field.name
    kind = field.type
    while pa.types.is_list(kind):
        path, kind = f"{path}.list.element", kind.value_type
    if pa.types.is_struct(kind):
        for member in kind:
            yield from _strings(member, path)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield path


def _flat(column: pa.ChunkedArray | pa.Array) -> Iterator[str]:
    for array in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        if pa.types.is_list(array.type):
            yield from _flat(array.flatten())
        elif pa.types.is_struct(array.type):
            for member in array.flatten():
                yield from _flat(member)
        else:
            yield from array.drop_null().unique().to_pylist()
