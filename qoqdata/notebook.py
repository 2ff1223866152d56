"""How a data set shows itself: one line in a console, counts and a few images in a notebook."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from html import escape
from io import BytesIO
from typing import TYPE_CHECKING, Any

import polars as pl

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.errors import QoqdataError
from qoqdata.items import kept_places, read_records

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset

#: Sources that the line names.
NAMED = 5
#: Records that a notebook shows, and the longer side of their images in pixels.
RECORDS, SIDE = 4, 128
#: Characters of a question or answer that a notebook shows; of a question, its first line: options
#: stand below.
CHARACTERS = 120
#: Styles stand at the elements: a notebook keeps no style sheet, and has colours of its own.
_LEFT, _RIGHT = ' style="text-align:left"', ' style="text-align:right"'
_ROW = ' style="display:flex;flex-wrap:wrap;gap:1em"'
_FIGURE = f' style="margin:0;width:{SIDE * 7 // 4}px"'
#: As high for every image, so that the texts of a row begin on one line.
_FRAME = f' style="height:{SIDE}px;display:flex;align-items:end"'
_TEXT = ' style="margin:.5em 0;line-height:1.3;overflow-wrap:anywhere"'
_COLUMNS = ("id", "source", "question", "answer", "images")


def as_line(dataset: Dataset) -> str:
    """Name, records as built by split, sources and place; nothing but the manifest is read."""
    manifest = dataset.manifest
    counts = _by_split(dataset)
    by_split = ", ".join(f"{split} {count:,}" for split, count in counts.items() if count)
    slugs = list(manifest.sources)
    sources = ", ".join(slugs[:NAMED]) or "no source"
    if len(slugs) > NAMED:
        sources += f" and {len(slugs) - NAMED} more"
    total = f"{sum(counts.values()):,} records" + (f" ({by_split})" if by_split else "")
    return f"Dataset {manifest.name!r}: {total} of {sources}; {dataset.where}"


def as_html(dataset: Dataset) -> str:
    """Counts by source and split and, of a set in a folder, its first kept record of each of a few
    sources with its first image. Nothing is fetched from a URL, and no text is taken for markup."""
    heads = f"<th{_LEFT}>source</th>"
    heads += "".join(f"<th{_RIGHT}>{name}</th>" for name in (*SPLITS, "records"))
    rows = [_counts(escape(slug), _by_split(dataset, slug)) for slug in dataset.manifest.sources]
    rows.append(_counts("<b>all</b>", _by_split(dataset)))
    body = f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody>"
    table = f'<table style="margin:.5em 0 1em">{body}</table>'
    caption = f"<b>{escape(str(dataset.manifest.name))}</b> {escape(dataset.where)}"
    figures = "".join(map(_figure, _examples(dataset)))
    return f"<div>{caption}{table}<div{_ROW}>{figures}</div></div>"


def _by_split(dataset: Dataset, source: str | None = None) -> dict[str, int]:
    """Records as built, by split, of one source or of all."""
    counts = dict.fromkeys(SPLITS, 0)
    for shard in dataset.manifest.shards:
        if source in (None, shard.source):
            counts[shard.split] += shard.rows
    return {str(split): count for split, count in counts.items()}


def _counts(name: str, counts: Mapping[str, int]) -> str:
    """A row of the table; `name` is markup."""
    numbers = (*counts.values(), sum(counts.values()))
    cells = "".join(f"<td{_RIGHT}>{count:,}</td>" for count in numbers)
    return f"<tr><td{_LEFT}>{name}</td>{cells}</tr>"


def _examples(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """The first kept record of each of the first sources."""
    files, manifest = dataset.files, dataset.manifest
    if not dataset.in_folder or not manifest.shards:
        return
    source_of = {number: shard.source for number, shard in enumerate(manifest.shards)}
    try:
        places = kept_places(files, manifest)
        source = pl.col("shard").replace_strict(source_of, return_dtype=pl.String)
        firsts = places.filter(source.is_first_distinct()).head(RECORDS)
        yield from read_records(files, manifest, firsts, _COLUMNS)
    except QoqdataError:
        # A set that cannot be read still has its counts.
        return


def _figure(record: Mapping[str, Any]) -> str:
    image = _thumbnail(record["images"])
    element = f'<img src="{image}" alt="{escape(record["id"])}">'
    shown = f"<div{_FRAME}>{element}</div>" if image else ""
    question = _short((record["question"] or "").partition("\n")[0])
    texts = (record["source"], question, _short(record["answer"] or ""))
    source, asked, answered = map(escape, texts)
    lines = "<br>".join(line for line in (source, asked, f"<b>{answered}</b>") if line)
    return f"<figure{_FIGURE}>{shown}<p{_TEXT}>{lines}</p></figure>"


def _short(text: str) -> str:
    """The text, or as many of its first words as fit."""
    if len(text) <= CHARACTERS:
        return text
    head = text[: CHARACTERS + 1]
    return f"{head.rpartition(' ')[0] or head[:-1]} ..."


def _thumbnail(images: list[dict[str, Any]] | None) -> str | None:
    """The first image as a data URI; None without images, and for one that cannot be decoded."""
    from PIL import Image, UnidentifiedImageError

    if not images:
        return None
    try:
        with Image.open(BytesIO(images[0]["bytes"])) as image, BytesIO() as stream:
            small = image.convert("RGB")
            small.thumbnail((SIDE, SIDE))
            small.save(stream, "JPEG")
            content = base64.b64encode(stream.getvalue()).decode()
    except (OSError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
    return f"data:image/jpeg;base64,{content}"
