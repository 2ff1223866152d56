"""Where a source's raw files are published: `download.yaml` beside its card, and what it lists.

A source without one, or with terms to agree to, is fetched by a person.
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal, Self
from urllib.parse import quote, urljoin

from pydantic import BaseModel, ConfigDict, Field, model_validator

from qoqdata.errors import InputError, UnreadableFile, UsageError
from qoqdata.fetching.http import read_all
from qoqdata.settings import checked, load_yaml
from qoqdata.sources.protocol import Source

DOWNLOAD = "download.yaml"

#: "git" is git's own: sha1 over a header with the size, then the content.
Algorithm = Literal["sha256", "md5", "sha1", "git"]
Text = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class PublishedFile:
    """One file: its path below the raw folder, where it is, and what its publisher says of it."""

    path: str
    url: str
    size: int | None = None
    algorithm: Algorithm | None = None
    digest: str | None = None


class Channel(BaseModel):
    """One place of publication; exactly one of the first five is given.

    sha256sums   URL of a listing "digest  path", as PhysioNet's SHA256SUMS.txt; paths are beside it
    zenodo       number of a record
    dataverse    persistent identifier of a data set, doi:...
    hub          name of a data set on the Hugging Face Hub, OWNER/NAME
    url          of one file, with its `sha256` where the publisher states it
    at           the service, where it is not the usual one
    only         shell patterns of paths that are wanted, all by default
    below        path prefix that is taken off
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256sums: Text | None = None
    zenodo: int | None = None
    dataverse: Text | None = None
    hub: Text | None = None
    url: Text | None = None
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    at: Text | None = None
    revision: Text = "main"
    only: tuple[Text, ...] = ()
    below: str = ""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        places = (self.sha256sums, self.zenodo, self.dataverse, self.hub, self.url)
        if sum(place is not None for place in places) != 1:
            raise ValueError("name one of sha256sums, zenodo, dataverse, hub and url")
        return self


class Download(BaseModel):
    """`download.yaml`. `then` tells a person what is left to do, such as what to unpack."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: tuple[Channel, ...] = Field(min_length=1)
    then: Text | None = None


def read_download(source: Source) -> Download | None:
    """The channels of a source; None for one that has none. Raises UsageError for a bad file."""
    path = source.folder / DOWNLOAD
    if not path.is_file():
        return None
    return checked(Download, load_yaml(path), where=str(path))


def published_files(download: Download) -> list[PublishedFile]:
    """All files that the channels list, by path.

    Raises UnreadableFile for a listing that cannot be understood, or whose paths lead out of the
    raw folder or repeat, and InputError where a service does not answer.
    """
    found: dict[str, PublishedFile] = {}
    for channel in download.channels:
        for file in _listed(channel):
            wanted = not channel.only or any(
                fnmatch.fnmatch(file.path, one) for one in channel.only
            )
            if not wanted:
                continue
            path = file.path.removeprefix(channel.below)
            if not _stays_inside(path):
                raise UnreadableFile(
                    f"lists {path!r}, which leads out of the folder", where=file.url
                )
            if path in found:
                raise UnreadableFile(f"lists {path!r} twice", where=file.url)
            found[path] = PublishedFile(path, file.url, file.size, file.algorithm, file.digest)
    if not found:
        raise UnreadableFile("lists no file", where=str(download.channels[0]))
    return [found[path] for path in sorted(found)]


def _listed(channel: Channel) -> Iterator[PublishedFile]:
    if channel.sha256sums is not None:
        yield from _sha256sums(channel.sha256sums)
    elif channel.zenodo is not None:
        yield from _zenodo(channel.at or "https://zenodo.org", channel.zenodo)
    elif channel.dataverse is not None:
        yield from _dataverse(channel.at or "https://dataverse.harvard.edu", channel.dataverse)
    elif channel.hub is not None:
        yield from _hub(channel.at, channel.hub, channel.revision)
    elif channel.url is not None:
        name = PurePosixPath(channel.url.partition("?")[0]).name
        algorithm: Algorithm | None = "sha256" if channel.sha256 else None
        yield PublishedFile(name, channel.url, None, algorithm, channel.sha256)


def _sha256sums(url: str) -> Iterator[PublishedFile]:
    text = read_all(url).decode("utf-8", "replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = re.fullmatch(r"([0-9a-fA-F]{64})\s+\*?(.+?)\s*", line)
        if match is None:
            raise UnreadableFile(f"line {number} is no digest and path", where=url)
        path = match[2].removeprefix("./")
        yield PublishedFile(path, urljoin(url, quote(path)), None, "sha256", match[1].lower())


def _zenodo(at: str, record: int) -> Iterator[PublishedFile]:
    url = f"{at}/api/records/{record}"
    content = _json(url)
    with _understood(url):
        for file in content["files"]:
            name, _, digest = file["checksum"].partition(":")
            algorithm = _algorithm(name, url)
            yield PublishedFile(
                file["key"], file["links"]["self"], int(file["size"]), algorithm, digest.lower()
            )


def _dataverse(at: str, identifier: str) -> Iterator[PublishedFile]:
    url = f"{at}/api/datasets/:persistentId/?persistentId={quote(identifier, safe=':/')}"
    content = _json(url)
    with _understood(url):
        for entry in content["data"]["latestVersion"]["files"]:
            file, folder = entry["dataFile"], entry.get("directoryLabel")
            # A table that was converted on upload has another digest than what it was made of.
            name = file.get("originalFileName") or file["filename"]
            path = f"{folder}/{name}" if folder else name
            converted = "originalFileName" in file
            link = f"{at}/api/access/datafile/{file['id']}"
            if converted:
                yield PublishedFile(path, f"{link}?format=original")
            else:
                checksum = file["checksum"]
                algorithm = _algorithm(checksum["type"], url)
                size = int(file["filesize"])
                yield PublishedFile(path, link, size, algorithm, checksum["value"].lower())


def _hub(at: str | None, name: str, revision: str) -> Iterator[PublishedFile]:
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.hf_api import RepoFile

    api = HfApi(endpoint=at)
    where = f"{at or api.endpoint}/datasets/{name}"
    try:
        entries = list(
            api.list_repo_tree(name, recursive=True, revision=revision, repo_type="dataset")
        )
    except (HfHubHTTPError, OSError) as error:
        raise InputError(f"does not list its files: {error}", where=where) from error
    for entry in entries:
        if isinstance(entry, RepoFile):
            url = hf_hub_url(name, entry.path, repo_type="dataset", revision=revision, endpoint=at)
            digest = entry.lfs.sha256 if entry.lfs else entry.blob_id
            algorithm: Algorithm = "sha256" if entry.lfs else "git"
            yield PublishedFile(entry.path, url, entry.size, algorithm, digest)


def _json(url: str) -> Any:
    try:
        return json.loads(read_all(url))
    except ValueError as error:
        raise UnreadableFile("answers something that is no JSON", where=url) from error


@contextmanager
def _understood(url: str) -> Iterator[None]:
    """Turns a listing of another shape into one error that names its address."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        what = "lists its files in another form than expected"
        raise UnreadableFile(what, where=url, fix="fetch them by hand") from error


def _algorithm(name: str, url: str) -> Algorithm:
    known: dict[str, Algorithm] = {
        "md5": "md5",
        "sha256": "sha256",
        "sha-256": "sha256",
        "sha1": "sha1",
        "sha-1": "sha1",
    }
    if (algorithm := known.get(name.lower())) is None:
        raise UsageError(f"states digests by {name!r}, which is not known here", where=url)
    return algorithm


def _stays_inside(path: str) -> bool:
    parts = PurePosixPath(path).parts
    odd = "\\" in path or ":" in path.partition("/")[0] or "\0" in path
    return bool(parts) and not path.startswith("/") and ".." not in parts and not odd
