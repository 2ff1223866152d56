"""Light records: the columns of records that passes over all of them need, without media or texts
that nobody looks at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import polars as pl

from qoqdata.contract.manifest import Manifest
from qoqdata.remote import leaves
from qoqdata.remote.files import Files

#: The columns of a light record, in their order, and the leaves that they are read from.
LEAVES = {
    **{name: name for name in ("id", "source", "domain", "modality", "task", "kind", "split")},
    **{name: name for name in ("redistribution", "patient", "study")},
    **{name: f"{name}.list.element" for name in ("options",)},
    "answer": "answer",
    **{name: f"{name}.list.element" for name in ("labels", "uncertain", "absent")},
    "n_images": "image_info.list.element.width",
    "shows": "ecg.fs",
}
COLUMNS = tuple(LEAVES)
#: Those of few different values.
_REPEATING = frozenset(
    ("source", "domain", "modality", "task", "kind", "split", "redistribution")
) | {"options", "labels", "uncertain", "absent"}


def light_records(
    files: Files, manifest: Manifest, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """A row a record in manifest order, of `columns` of COLUMNS (default: all).

    `n_images` are its images; `shows` is whether it has an image, a signal or a context. Raises
    DatasetError when metadata are missing, damaged or of another number of records.
    """
    names = COLUMNS if columns is None else columns
    runs = list(leaves.runs(manifest))
    files.prefetch([leaves.metadata_of(files, manifest, source) for source, _, _ in runs])
    whole = {
        source: pl.concat(light_groups(files, manifest, source, names))
        for source in dict.fromkeys(source for source, _, _ in runs)
    }
    return pl.concat([whole[source].slice(first, rows) for source, first, rows in runs])


def light_groups(
    files: Files, manifest: Manifest, source: str, columns: Sequence[str], *, coded: bool = False
) -> Iterator[pl.DataFrame]:
    """Light records of a source in its order, one row group after another.

    `coded`: columns of few different values are Categorical, which takes a quarter of the memory.
    """
    asked = {name: LEAVES[name] for name in columns}
    if "shows" in asked:
        asked["n_images"] = LEAVES["n_images"]
    for read in leaves.row_groups(files, manifest, source):
        repeating = [leaf for name, leaf in asked.items() if name in _REPEATING]
        frame = pl.DataFrame(read(list(asked.values()), repeating))
        if "n_images" in asked:
            n_images = pl.col("image_info").list.len().fill_null(0).cast(pl.Int64)
            frame = frame.with_columns(n_images=n_images)
        if "shows" in asked:
            has_ecg = pl.col("ecg").struct.field("fs").is_not_null()
            frame = frame.with_columns(shows=(pl.col("n_images") > 0) | has_ecg)
            if not frame["shows"].all():
                # Contexts may be long; most records show an image or a signal.
                context = read(["context"]).column("context").is_valid()
                frame = frame.with_columns(shows=pl.col("shows") | pl.Series(context))
        frame = frame.select(columns)
        yield frame if coded else frame.with_columns(_as_texts(frame))


def _as_texts(frame: pl.DataFrame) -> list[pl.Expr]:
    texts = {pl.Categorical(): pl.String(), pl.List(pl.Categorical()): pl.List(pl.String())}
    return [
        pl.col(name).cast(texts[kind])
        for name, kind in frame.schema.items()
        if kind in (pl.Categorical, pl.List(pl.Categorical))
    ]
