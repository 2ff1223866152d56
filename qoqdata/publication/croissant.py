"""croissant.json: the data set for machines (MLCommons Croissant 1.1, JSON-LD)."""

from __future__ import annotations

from typing import Any

from qoqdata.contract.vocabulary import SPLITS
from qoqdata.publication.facts import Facts

#: The context of the specification, section "Context".
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "arrayShape": "cr:arrayShape",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

#: A shard's name begins with its split.
_SPLIT = f"^({'|'.join(SPLITS)})-.*\\.parquet$"

_TEXT, _INTEGER, _IMAGE = "sc:Text", "sc:Integer", "sc:ImageObject"

#: Columns that Croissant readers get: name, type, repeated, path within the column.
_FIELDS = (
    ("id", _TEXT, False, None),
    ("source", _TEXT, False, None),
    ("domain", _TEXT, False, None),
    ("modality", _TEXT, False, None),
    ("task", _TEXT, False, None),
    ("split", _TEXT, False, None),
    ("patient", _TEXT, False, None),
    ("study", _TEXT, False, None),
    ("context", _TEXT, False, None),
    ("question", _TEXT, False, None),
    ("options", _TEXT, True, None),
    ("answer", _TEXT, False, None),
    ("labels", _TEXT, True, None),
    ("images", _IMAGE, True, "$[*].bytes"),
    ("age", _INTEGER, False, None),
    ("sex", _TEXT, False, None),
    ("licence", _TEXT, False, None),
)


def croissant(facts: Facts, url: str | None) -> dict[str, Any]:
    """The JSON-LD document: one file set and one record set a config.

    Paths are relative to the file itself, so that it holds wherever the release lies.
    """
    release = facts.manifest.release
    document = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": facts.manifest.name,
        "description": (
            f"{facts.records} clinical question/answer records about {facts.studies} studies from "
            f"{len(facts.manifest.sources)} sources."
        ),
        "license": sorted({_licence(facts, slug) for slug in facts.manifest.sources}),
        "citeAs": " ".join(" ".join(card.citation.split()) for card in facts.cards.values()),
        "keywords": ["medical", *facts.domains["domain"].to_list()],
        "version": release.version if release else "0.0.0",
        "isLiveDataset": False,
        "distribution": [_files(name, slugs) for name, slugs in facts.configs.items()],
        "recordSet": [_records(name) for name in facts.configs],
    }
    if url and url.startswith("hf://datasets/"):
        path = url.removeprefix("hf://").partition("@")[0]
        document["url"] = f"https://huggingface.co/{path}"
    return document


def _licence(facts: Facts, slug: str) -> str:
    card = facts.cards[slug]
    return card.licence.url or card.licence.spdx or card.licence.name


def _files(name: str, slugs: tuple[str, ...]) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{name}-files",
        "name": f"{name}-files",
        "description": f"Parquet shards of {', '.join(slugs)}",
        "encodingFormat": "application/x-parquet",
        "includes": [f"data/{slug}/*.parquet" for slug in slugs],
    }


def _records(name: str) -> dict[str, Any]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": "One question about one study",
        "field": [_field(name, *field) for field in _FIELDS],
    }


def _field(config: str, column: str, kind: str, repeated: bool, path: str | None) -> dict[str, Any]:
    source: dict[str, Any] = {
        "fileSet": {"@id": f"{config}-files"},
        "extract": {"column": column},
    }
    if column == "split":
        # From the shard's name, so that readers who want one split fetch no other.
        source |= {"extract": {"fileProperty": "filename"}, "transform": {"regex": _SPLIT}}
    if path:
        source["transform"] = {"jsonPath": path}
    field = {
        "@type": "cr:Field",
        "@id": f"{config}/{column}",
        "name": column,
        "dataType": kind,
        "source": source,
    }
    return field | ({"repeated": True} if repeated else {})
