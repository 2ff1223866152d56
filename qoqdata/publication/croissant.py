"""croissant.json: the data set for machines (MLCommons Croissant 1.1, JSON-LD), by mlcroissant.

A config is one file set and one record set, whose fields are all columns of a record; members of
structs are sub-fields. The record set `splits` lists the splits, and each record has its own from
the name of its shard, so that readers who want one split fetch no other. The field refers to no
field of `splits`: readers would join the two, for which they take a whole config into memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

from qoqdata.contract.record import RECORD
from qoqdata.contract.types import EncodedImage, Field, ListOf, Scalar, ScalarName, Struct
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.errors import UsageError
from qoqdata.publication.facts import Facts

#: The record set of splits, and its field of names.
SPLIT_SET, SPLIT_NAME = "splits", "splits/name"

#: A shard's name begins with its split.
_SPLIT_OF_FILE = f"^({'|'.join(SPLITS)})-.*\\.parquet$"
#: What Croissant calls a split.
_SPLIT_KINDS = {
    "train": "cr:TrainingSplit",
    "validation": "cr:ValidationSplit",
    "test": "cr:TestSplit",
}
#: Names of mlcroissant's data types for those of contract columns.
_TYPES: Mapping[ScalarName, str] = {
    "string": "TEXT",
    "bool": "BOOL",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float32": "FLOAT32",
    "float64": "FLOAT64",
}


def croissant(facts: Facts, url: str | None) -> dict[str, Any]:
    """The JSON-LD document.

    Paths are relative to the file itself, so that it holds wherever the release lies. Raises
    UsageError where mlcroissant is not installed.
    """
    mlc = _mlcroissant()
    release = facts.manifest.release
    splits = [split for split in SPLITS if any(s.split == split for s in facts.manifest.shards)]
    metadata = mlc.Metadata(
        ctx=mlc.Context(conforms_to="http://mlcommons.org/croissant/1.1"),
        name=facts.manifest.name,
        description=(
            f"{facts.records} clinical question/answer records about {facts.studies} studies from "
            f"{len(facts.manifest.sources)} sources."
        ),
        license=sorted({_licence(facts, slug) for slug in facts.manifest.sources}),
        cite_as=" ".join(" ".join(card.citation.split()) for card in facts.cards.values()),
        keywords=["medical", *facts.domains["domain"].to_list()],
        version=release.version if release else "0.0.0",
        url=_page(url),
        distribution=[_files(mlc, name, slugs) for name, slugs in facts.configs.items()],
        record_sets=[
            *([_splits(mlc, splits)] if splits else ()),
            *(_records(mlc, name) for name in facts.configs),
        ],
    )
    return metadata.to_json()


def _mlcroissant() -> ModuleType:
    try:
        import mlcroissant
    except ImportError as error:
        fix = "pip install 'qoqdata[plot]'"
        raise UsageError("croissant.json needs mlcroissant", fix=fix) from error
    return mlcroissant


def _licence(facts: Facts, slug: str) -> str:
    card = facts.cards[slug]
    return card.licence.url or card.licence.spdx or card.licence.name


def _page(url: str | None) -> str | None:
    if url is None or not url.startswith("hf://datasets/"):
        return None
    return f"https://huggingface.co/{url.removeprefix('hf://').partition('@')[0]}"


def _files(mlc: ModuleType, name: str, slugs: tuple[str, ...]) -> Any:
    return mlc.FileSet(
        id=f"{name}-files",
        name=f"{name}-files",
        description=f"Parquet shards of {', '.join(slugs)}",
        encoding_formats=["application/x-parquet"],
        includes=[f"data/{slug}/*.parquet" for slug in slugs],
    )


def _splits(mlc: ModuleType, splits: Sequence[str]) -> Any:
    return mlc.RecordSet(
        id=SPLIT_SET,
        name=SPLIT_SET,
        description="The splits of the records",
        data_types=[mlc.DataType.SPLIT],
        key=SPLIT_NAME,
        fields=[
            mlc.Field(id=SPLIT_NAME, name="name", data_types=[mlc.DataType.TEXT]),
            mlc.Field(id=f"{SPLIT_SET}/kind", name="kind", data_types=[mlc.DataType.URL]),
        ],
        data=[{SPLIT_NAME: one, f"{SPLIT_SET}/kind": _SPLIT_KINDS[one]} for one in splits],
    )


def _records(mlc: ModuleType, name: str) -> Any:
    return mlc.RecordSet(
        id=name,
        name=name,
        description=RECORD.doc,
        fields=[_field(mlc, name, column) for column in RECORD.fields],
    )


def _field(mlc: ModuleType, config: str, column: Field) -> Any:
    if column.name != "split":
        return _column(mlc, f"{config}-files", config, column, column.name, ())
    return mlc.Field(
        id=f"{config}/split",
        name="split",
        description=column.doc,
        data_types=[mlc.DataType.TEXT, mlc.DataType.SPLIT],
        source=mlc.Source(
            file_set=f"{config}-files",
            extract=mlc.Extract(file_property="filename"),
            transforms=[mlc.Transform(regex=_SPLIT_OF_FILE)],
        ),
    )


def _column(
    mlc: ModuleType, files: str, parent: str, field: Field, column: str, path: tuple[str, ...]
) -> Any:
    """A field for a column or, at `path` in it, for a member of its struct."""
    name, kind, lists = f"{parent}/{field.name}", field.type, 0
    while isinstance(kind, ListOf):
        kind, lists = kind.item, lists + 1
    facts: dict[str, Any] = {"id": name, "name": field.name, "description": field.doc}
    if isinstance(kind, Struct):
        return mlc.Field(
            **facts,
            repeated=True if lists else None,
            sub_fields=[
                _column(mlc, files, name, member, column, (*path, member.name))
                for member in kind.fields
            ],
        )
    if isinstance(kind, EncodedImage):
        path = (*path, "bytes")
    step = [mlc.Transform(json_path=".".join(("$", *path)))] if path else []
    source = mlc.Source(file_set=files, extract=mlc.Extract(column=column), transforms=step)
    return mlc.Field(
        **facts,
        data_types=[_data_type(mlc, kind)],
        source=source,
        **_shape(lists),
    )


def _data_type(mlc: ModuleType, kind: Scalar | EncodedImage) -> Any:
    name = "IMAGE_OBJECT" if isinstance(kind, EncodedImage) else _TYPES[kind.name]
    return getattr(mlc.DataType, name)


def _shape(lists: int) -> dict[str, Any]:
    if lists > 1:
        return {"is_array": True, "array_shape": ",".join(["-1"] * lists)}
    return {"repeated": True} if lists else {}
