"""URLs of data sets: which roots are remote, and the fsspec file system behind one."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)(::|://)")
_USER = re.compile(r"(?<=://)[^/@]*@")

#: What sets are read from, and published to, and not written into.
READ_ONLY = frozenset(("hf", "http", "https"))

#: Seconds without a byte after which an HTTP server counts as gone; a download may take longer.
_HTTP_SILENCE = 60.0


def is_url(root: str | Path) -> bool:
    """Whether `root` is text with a scheme, such as s3:// or hf://."""
    return isinstance(root, str) and _SCHEME.match(root) is not None


def scheme(url: str) -> str:
    """The URL's scheme, in small letters."""
    match = _SCHEME.match(url)
    assert match is not None
    return match[1].lower()


def local_path(root: str | Path) -> Path | None:
    """The folder that `root` names on this machine; None for a remote URL. file:// is local."""
    if not is_url(root):
        return Path(root)
    if scheme(str(root)) in ("file", "local"):
        from fsspec.core import url_to_fs

        return Path(url_to_fs(str(root))[1])
    return None


def shown(url: str) -> str:
    """The URL for messages: without a password and without a slash at its end."""
    return _USER.sub("", url).rstrip("/")


def file_system(url: str, options: Mapping[str, Any]) -> tuple[AbstractFileSystem, str]:
    """The fsspec file system of `url` and the data set's root in it.

    `options` go to the file system (fsspec's `storage_options`). Raises UsageError when no file
    system is known for the scheme, when its package is missing, or when it refuses the options.
    """
    from fsspec.core import url_to_fs

    settings = dict(options)
    try:
        if scheme(url) in ("http", "https"):
            settings["client_kwargs"] = _http_timeout() | dict(settings.get("client_kwargs") or {})
        system, root = url_to_fs(url, **settings)
        if scheme(url) in ("s3", "s3a"):
            # botocore tries a request again, and so does `faults.retried`; a third in between would
            # make half an hour of a store that is down.
            system.retries = 1
    except ImportError as error:
        what = f"needs a package that is not installed ({error})"
        raise UsageError(what, where=shown(url), fix=_install(scheme(url))) from error
    except (ValueError, TypeError) as error:
        fix = "give a folder, or a URL with s3://, gs://, hf:// or https://"
        raise UsageError(f"cannot be opened: {error}", where=shown(url), fix=fix) from error
    return system, root.rstrip("/")


def _http_timeout() -> dict[str, Any]:
    # aiohttp's default ends every download after five minutes, however well it runs.
    from aiohttp import ClientTimeout

    return {"timeout": ClientTimeout(total=None, sock_connect=30, sock_read=_HTTP_SILENCE)}


def _install(name: str) -> str:
    if name in ("s3", "s3a"):
        return "pip install 'qoqdata[s3]'"
    if name in ("gs", "gcs"):
        return "pip install gcsfs"
    return "install it with pip"
