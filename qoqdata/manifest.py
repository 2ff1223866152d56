"""manifest.json: read, written, and the digest that names a data set."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qoqdata.atomic import digest, file_digest, write_json
from qoqdata.contract.card import SLUG
from qoqdata.contract.manifest import VERSION, Manifest, MetadataFile, Shard, SourceEntry
from qoqdata.contract.record import VERSION as SCHEMA_VERSION
from qoqdata.errors import DatasetError, UnfinishedBuild
from qoqdata.json_document import document_bytes, parse_json
from qoqdata.layout import Layout

#: Characters of a fault that are told.
_MOST = 300
_OTHER = "name the folder that `qoqdata build` wrote"
_FINISH = "finish the build first: run the same `qoqdata build` again"


def read_manifest(root: Path) -> Manifest:
    """The manifest of the data set at `root`; raises DatasetError."""
    path = Layout(root).manifest
    try:
        content = document_bytes(path)
    except FileNotFoundError as error:
        what = "holds no manifest.json" if root.is_dir() else "there is no such data set"
        kind = UnfinishedBuild if Layout(root).build.is_dir() else DatasetError
        raise kind(what, where=str(root), fix=_way_to_a_set(root)) from error
    except NotADirectoryError as error:
        what, fix = "is a file, and a data set is a folder", _way_to_a_set(root)
        raise DatasetError(what, where=str(root), fix=fix) from error
    except OSError as error:
        what, fix = f"cannot be read: {error.strerror or error}", "see who may read it"
        raise DatasetError(what, where=str(path), fix=fix) from error
    return parse_manifest(content, where=str(path))


def _way_to_a_set(root: Path) -> str:
    """What to do where `root` holds no manifest: the set that lies around it, inside of it or
    beside it under a name like its own, else the build that did not end."""
    if Layout(root).plan.is_file():
        return f"build the parts of its plan, then run `qoqdata finish --out {root}`"
    if Layout(root).build.is_dir():
        return _FINISH
    around = [folder for folder in root.absolute().parents if Layout(folder).manifest.is_file()]
    if around:
        return f"name the folder of the set: {around[0]}"
    if root.is_dir():
        inside = sorted(path.parent.name for path in root.glob("*/manifest.json"))
        return f"name a set in it: {', '.join(inside[:3])}" if inside else _OTHER
    beside = [path.parent.name for path in root.absolute().parent.glob("*/manifest.json")]
    near = difflib.get_close_matches(root.name, sorted(beside), n=1, cutoff=0.75)
    return f"did you mean {root.parent / near[0]}?" if near else f"check the path, or {_FINISH}"


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
        # Both may quote what somebody wrote, at any length.
        what = f"is not a manifest: {field[:_MOST]}: {fault['msg'][:_MOST]}"
        fix = "name a folder that `qoqdata build` or `qoqdata publish` wrote"
        raise DatasetError(what, where=where, fix=fix) from error


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
        found = parse_json(content)
        versions = int(found["schema_version"]), int(found["manifest_version"])
        builds, writer = _builds(found), found.get("qoqdata_version")
    except (ValueError, OverflowError, TypeError, KeyError, AttributeError):
        return
    if versions == (SCHEMA_VERSION, VERSION):
        return
    kind, found_, this = (
        ("schema", versions[0], SCHEMA_VERSION)
        if versions[0] != SCHEMA_VERSION
        else ("manifest", versions[1], VERSION)
    )
    # It is somebody's text: a number of a version is shown, and nothing else.
    number = f" ({writer})" if re.fullmatch(r"[0-9][0-9A-Za-z.+]{0,30}", str(writer)) else ""
    newer = f"use the qoqdata that wrote it{number}, or a later one"
    fix = newer if found_ > this else f"build it anew: {builds}"
    what, root = (
        f"has {kind} version {found_}, this is {this}",
        where.removesuffix("/manifest.json"),
    )
    raise DatasetError(what, where=root, fix=fix)


def _builds(content: dict[str, Any]) -> str:
    """The commands that build the sources of an older manifest; ValueError for names that are none:
    who reads a command runs it."""
    for name in (*content["sources"], *(e["converter"] for e in content["sources"].values())):
        if not re.fullmatch(SLUG, name):
            raise ValueError(name)
    known = [(slug, entry["converter"]) for slug, entry in content["sources"].items()]
    plain = [slug for slug, converter in known if slug == converter]
    # A source of one's own is named by its mapping, and each has one.
    own = [f"{converter} --mapping FILE" for slug, converter in known if slug != converter]
    asked = [" ".join(plain), *own] if plain else own
    return " and ".join(f"qoqdata build {one} --raw DIR --out NEW" for one in asked)
