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
#: Characters of a question or answer that a notebook shows.
CHARACTERS = 120
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
    heads = "".join(f"<th>{name}</th>" for name in ("source", *SPLITS, "records"))
    rows = [_counts(slug, _by_split(dataset, slug)) for slug in dataset.manifest.sources]
    rows.append(_counts("all", _by_split(dataset)))
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    caption = f"<b>{escape(str(dataset.manifest.name))}</b> {escape(dataset.where)}"
    figures = "".join(map(_figure, _examples(dataset)))
    return f'<div>{caption}{table}<div style="display:flex;gap:1em">{figures}</div></div>'


def _by_split(dataset: Dataset, source: str | None = None) -> dict[str, int]:
    """Records as built, by split, of one source or of all."""
    counts = dict.fromkeys(SPLITS, 0)
    for shard in dataset.manifest.shards:
        if source in (None, shard.source):
            counts[shard.split] += shard.rows
    return {str(split): count for split, count in counts.items()}


def _counts(name: str, counts: Mapping[str, int]) -> str:
    cells = "".join(f"<td>{count:,}</td>" for count in (*counts.values(), sum(counts.values())))
    return f"<tr><td>{escape(name)}</td>{cells}</tr>"


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
    element = f'<img src="{image}" alt="{escape(record["id"])}">' if image else ""
    texts = (record["source"], record["question"], record["answer"])
    lines = "<br>".join(escape(_short(text)) for text in texts if text)
    return f'<figure style="margin:0;max-width:{2 * SIDE}px">{element}<p>{lines}</p></figure>'


def _short(text: str) -> str:
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]}..."


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
