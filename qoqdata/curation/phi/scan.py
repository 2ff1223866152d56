"""The search of all texts of a data set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from qoqdata.curation.phi.columns import text_columns
from qoqdata.curation.phi.language import language_of
from qoqdata.curation.phi.recogniser import Recogniser
from qoqdata.curation.phi.rule import Span
from qoqdata.curation.phi.rules import find, merged
from qoqdata.dataset import Dataset

FINDINGS = {
    "id": pl.String,
    "source": pl.String,
    "column": pl.String,
    "member": pl.Int32,
    "language": pl.String,
    "rule": pl.String,
    "start": pl.Int32,
    "length": pl.Int32,
}


def scan_texts(dataset: Dataset, recogniser: Recogniser | None = None) -> pl.DataFrame:
    """Every finding of every rule and of the recogniser: record id, source and place in the text.

    `column` is as in `text_columns`, `member` the place in a list or null, `start` and `length`
    count characters. The text itself stays where it is, so that the table of findings is no second
    place to protect.
    """
    dataset.check_some()
    # Those of records that were dropped before, too: a verdict may be taken back.
    parts = [_findings(dataset, name, path, recogniser) for name, path in text_columns().items()]
    return pl.concat(parts).sort("id", "column", "member", "start", "rule")


def _findings(
    dataset: Dataset, name: str, path: str, recogniser: Recogniser | None
) -> pl.DataFrame:
    """The findings in one column; of columns without any nothing is read but their texts."""
    leaf = name.split(".")[0]
    # Questions repeat by the million: each distinct text is searched once.
    parts = _distinct(dataset.files.leaves([path])[leaf].chunks)
    by_text = pl.concat([_by_text(part, recogniser) for part in parts] or [_by_text([], None)])
    if by_text.is_empty():
        return pl.DataFrame(schema=FINDINGS)
    table = dataset.files.leaves(["id", "source", path])
    frame = pl.DataFrame(table.select(["id", "source"]))
    frame = _members(frame.with_columns(text=pl.Series(pl.from_arrow(table[leaf]))))
    hits = frame.join(by_text, on="text", how="inner").with_columns(column=pl.lit(name))
    return hits.select(pl.col(name).cast(kind) for name, kind in FINDINGS.items())


def _distinct(chunks: list[pa.Array]) -> Iterator[pl.Series]:
    """The strings of a column, of whatever lists and structures they are in, each once, in parts.

    The chunks are taken from their list, so that each goes when its strings are had.
    """
    parts = []
    while chunks:
        parts.append(_strings(chunks.pop()).unique())
    # As they are: together in one piece they would be there twice.
    texts = pl.Series(pl.from_arrow(pa.chunked_array(parts, pa.string()), rechunk=False))
    parts.clear()
    firsts = texts.arg_unique()
    for start in range(0, len(firsts), _PART):
        yield texts.gather(firsts[start : start + _PART]).drop_nulls()


def _strings(chunk: pa.Array) -> pa.StringArray:
    while not pa.types.is_string(chunk.type):
        chunk = chunk.flatten() if pa.types.is_list(chunk.type) else pc.struct_field(chunk, [0])
    return chunk


def _members(frame: pl.DataFrame) -> pl.DataFrame:
    """Columns id, source, member and text: a row a string of the column `text`."""
    frame = frame.with_columns(member=pl.lit(None, pl.Int32))
    while not isinstance(kind := frame.schema["text"], pl.String):
        if isinstance(kind, pl.List):
            members = pl.int_ranges(pl.col("text").list.len(), dtype=pl.Int32)
            frame = frame.drop_nulls("text").filter(pl.col("text").list.len() > 0)
            frame = frame.with_columns(member=members).explode("text", "member")
        else:
            assert isinstance(kind, pl.Struct)
            frame = frame.with_columns(text=pl.col("text").struct.field(kind.fields[0].name))
    return frame.drop_nulls("text")


#: Texts that are strings of Python at a time, which need far more memory than a column.
_PART = 10_000
_OF_TEXT = ("language", "rule", "start", "length")


def _by_text(texts: Iterable[str], recogniser: Recogniser | None) -> pl.DataFrame:
    """The findings in texts, a row each: the text, and the columns of FINDINGS that it tells."""
    found = [row for text in texts for row in _rows(text, recogniser)]
    types = {"text": pl.String, **{name: FINDINGS[name] for name in _OF_TEXT}}
    return pl.DataFrame(found, schema=types, orient="row")


def _rows(text: str, recogniser: Recogniser | None) -> Iterator[tuple[str, str, str, int, int]]:
    spans: tuple[Span, ...] = find(text)
    language = language_of(text) if spans or recogniser else ""
    if recogniser is not None:
        spans = merged((*spans, *recogniser.find(text, language)))
    for rule, start, end in spans:
        yield text, language, rule, start, end - start
