"""manifest.json: read, written, and the digest that names a data set."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qoqdata.atomic import digest, file_digest, write_json
from qoqdata.contract.manifest import VERSION, Manifest, MetadataFile, Shard, SourceEntry
from qoqdata.contract.record import VERSION as SCHEMA_VERSION
from qoqdata.errors import DatasetError, UnfinishedBuild
from qoqdata.layout import Layout


def read_manifest(root: Path) -> Manifest:
    """The manifest of the data set at `root`; raises DatasetError."""
    path = Layout(root).manifest
    try:
        return parse_manifest(path.read_bytes(), where=str(path))
    except FileNotFoundError as error:
        what = "holds no manifest.json" if root.is_dir() else "there is no such data set"
        fix = "finish the build first: run the same `qoqdata build` again"
        kind = UnfinishedBuild if Layout(root).build.is_dir() else DatasetError
        raise kind(what, where=str(root), fix=fix) from error


def is_as_built(path: Path, file: Shard | MetadataFile) -> bool:
    """Whether the file at `path` has the bytes that the manifest says; raises OSError."""
    return path.stat().st_size == file.bytes and file_digest(path) == file.sha256


def parse_manifest(content: bytes, *, where: str) -> Manifest:
    """The manifest that `content` is the JSON of; raises DatasetError, which names `where`.

    One of another version is told before its fields are, with the command that builds it anew.
    """
    _check_version(content, where)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        fault = error.errors()[0]
        field = ".".join(str(part) for part in fault["loc"])
        raise DatasetError(f"is not a manifest: {field}: {fault['msg']}", where=where) from error


def write_manifest(layout: Layout, manifest: Manifest) -> None:
    """Write manifest.json atomically."""
    write_json(layout.manifest, manifest.model_dump(mode="json"))


def shards_digest(shards: Iterable[Shard]) -> str:
    """sha256 over path and digest of every shard, by path: the identity of the data set."""
    lines = sorted(f"{shard.path} {shard.sha256}\n" for shard in shards)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def config_digest(sources: Mapping[str, SourceEntry]) -> str:
    """sha256 over what was asked of each source: its entry without what came out of it."""
    counted = {"containers", "counts", "expected", "blocked", "ungrouped"}
    # What is allowed in quarantine changes no record.
    apart = {*counted, "refused", "patient_splits", "max_quarantine"}
    return digest(
        {slug: entry.model_dump(mode="json", exclude=apart) for slug, entry in sources.items()}
    )


def _check_version(content: bytes, where: str) -> None:
    """Another version has fields that this one cannot judge: say so before they are met."""
    try:
        found = json.loads(content)
        versions = int(found["schema_version"]), int(found["manifest_version"])
        builds = _builds(found)
    except (ValueError, TypeError, KeyError, AttributeError):
        return
    if versions == (SCHEMA_VERSION, VERSION):
        return
    kind, found_, this = (
        ("schema", versions[0], SCHEMA_VERSION)
        if versions[0] != SCHEMA_VERSION
        else ("manifest", versions[1], VERSION)
    )
    fix = "use the qoqdata that wrote it" if found_ > this else f"build it anew: {builds}"
    what, root = (
        f"has {kind} version {found_}, this is {this}",
        where.removesuffix("/manifest.json"),
    )
    raise DatasetError(what, where=root, fix=fix)


def _builds(content: dict[str, Any]) -> str:
    """The commands that build the sources of an older manifest."""
    known = [(slug, entry["converter"]) for slug, entry in content["sources"].items()]
    plain = [slug for slug, converter in known if slug == converter]
    # A source of one's own is named by its mapping, and each has one.
    own = [f"{converter} --mapping FILE" for slug, converter in known if slug != converter]
    asked = [" ".join(plain), *own] if plain else own
    return " and ".join(f"qoqdata build {one} --raw DIR --out NEW" for one in asked)
