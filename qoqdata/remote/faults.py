"""Faults of remote storage: which pass and are tried again, which last and how they are told.

Every fsspec file system raises the exceptions of its own client, so they are told apart by HTTP
status, by errno and by the client's package rather than by class.
"""

from __future__ import annotations

import errno
import random
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from qoqdata.errors import DatasetError, QoqdataError, UsageError
from qoqdata.remote.urls import scheme, shown

#: Seconds before each further attempt, half to one and a half times, so that ranks spread.
WAITS = (0.5, 1.0, 2.0, 4.0)

_T = TypeVar("_T")

_CLIENTS = {
    "aiobotocore",
    "aiohttp",
    "botocore",
    "gcsfs",
    "google",
    "httpcore",
    "httpcore2",
    "httpx",
    "httpx2",
    "huggingface_hub",
    "requests",
    "urllib3",
}
_NO_CREDENTIALS = {
    "CredentialRetrievalError",
    "DefaultCredentialsError",
    "GatedRepoError",
    "LocalTokenNotFoundError",
    "NoAuthTokenError",
    "NoCredentialsError",
    "PartialCredentialsError",
    "ProfileNotFound",
}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_LASTING = _FULL | {
    errno.EACCES,
    errno.EEXIST,
    errno.EINVAL,
    errno.EISDIR,
    errno.ENOENT,
    errno.ENOSYS,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
}
_ACCESS = {
    "s3": "give AWS credentials (AWS_PROFILE, AWS_ACCESS_KEY_ID); for a public bucket "
    "storage_options={'anon': True}",
    "gs": "run `gcloud auth application-default login`; for a public bucket "
    "storage_options={'token': 'anon'}",
    "hf": "for a private or gated one run `hf auth login` or set HF_TOKEN",
}


def retried(attempt: Callable[[], _T], *, url: str) -> _T:
    """The result of `attempt`, called up to `1 + len(WAITS)` times while its faults may pass.

    A DatasetError of `attempt` is damage: it gets one more try, as whole files are at stake.
    Raises FileNotFoundError when the store says that there is no such file, else the DatasetError
    or UsageError that `explained` makes of the last fault.
    """
    damage = False
    for wait in (*WAITS, None):
        try:
            return attempt()
        except Exception as error:
            if missing(error):
                raise FileNotFoundError(url) from error
            if wait is None or damage or not transient(error):
                raise explained(error, url) from error
            damage = isinstance(error, DatasetError)
        time.sleep(wait * random.uniform(0.5, 1.5))
    raise AssertionError("unreachable: the last attempt returns or raises")


def missing(error: BaseException) -> bool:
    """Whether the store said that there is no such file.

    A FileNotFoundError that a client made out of another fault (HTTP 500, no network) does not
    count: taking it for absence would lose verdicts.
    """
    if not isinstance(error, FileNotFoundError):
        return status(error) in (404, 410) and not isinstance(error, QoqdataError)
    cause = error.__cause__
    if cause is None:
        return True
    code = status(cause)
    return not (_passes(cause) or denied(cause)) if code is None else code in (404, 410)


def denied(error: BaseException) -> bool:
    """Whether credentials lack or do not suffice."""
    if status(error) in (401, 403, 407):
        return True
    return any(
        isinstance(one, PermissionError) or type(one).__name__ in _NO_CREDENTIALS
        for one in _chain(error)
    )


def transient(error: BaseException) -> bool:
    """Whether trying again may help: resets, timeouts, HTTP 408, 425, 429 and 5xx, damage."""
    if isinstance(error, DatasetError):
        return True
    if isinstance(error, QoqdataError) or missing(error) or denied(error):
        return False
    if isinstance(error, TimeoutError | ConnectionError):
        return True
    if (code := status(error)) is not None:
        return code in (408, 425, 429) or code >= 500
    return any(_passes(one) for one in _chain(error))


def explained(error: BaseException, url: str) -> QoqdataError:
    """The error to raise for a fault that lasts: one line that says what to do."""
    where = shown(url)
    if isinstance(error, QoqdataError):
        return error
    if missing(error):
        return DatasetError("there is no such file", where=where)
    if any(type(one).__name__ == "RepositoryNotFoundError" for one in _chain(error)):
        # The Hub says the same of a private repository, so that nobody learns its name.
        what, fix = "there is no such repository for you", "check its name; " + _ACCESS["hf"]
        return UsageError(what, where=where, fix=fix)
    if denied(error):
        kind = {"s3a": "s3", "gcs": "gs"}.get(scheme(url), scheme(url))
        fix = _ACCESS.get(kind, "check the credentials in the URL or in storage_options")
        return UsageError(f"access is denied ({_reason(error)})", where=where, fix=fix)
    if isinstance(error, OSError) and error.errno in _FULL:
        fix = (
            "free space there, then run the same command again; QOQDATA_CACHE names another folder"
        )
        fix += " for what is fetched"
        return DatasetError(f"cannot be kept: {_reason(error)}", where=where, fix=fix)
    if isinstance(error, OSError) and error.errno == errno.EROFS:
        fix = "see who may write there, or name another folder"
        return DatasetError(f"cannot be written: {_reason(error)}", where=where, fix=fix)
    if transient(error):
        what = f"cannot be reached: {_reason(error)}"
        fix = "check the address and the network, then try again"
        return DatasetError(what, where=where, fix=fix)
    return DatasetError(f"cannot be read: {_reason(error)}", where=where)


def status(error: BaseException) -> int | None:
    """The HTTP status that an exception or one of its causes carries."""
    for one in _chain(error):
        response = getattr(one, "response", None)
        if isinstance(response, dict):
            number = response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        else:
            number = getattr(response, "status_code", None)
        for code in (number, getattr(one, "status", None), _google_code(one)):
            if isinstance(code, int) and 100 <= code < 600:
                return code
    return None


def _google_code(error: BaseException) -> int | None:
    return getattr(error, "code", None) if _package(error) in ("gcsfs", "google") else None


def _passes(error: BaseException) -> bool:
    if isinstance(error, ValueError):
        return False
    if isinstance(error, FileNotFoundError):
        return error.__cause__ is not None and _passes(error.__cause__)
    if isinstance(error, OSError):
        return error.errno not in _LASTING
    return _package(error) in _CLIENTS


def _package(error: BaseException) -> str:
    return type(error).__module__.partition(".")[0]


def _chain(error: BaseException) -> Iterator[BaseException]:
    one: BaseException | None = error
    for _ in range(8):
        if one is None:
            return
        yield one
        one = one.__cause__


def _reason(error: BaseException) -> str:
    # The innermost exception knows most, but for aiohttp's parser, which speaks to aiohttp alone.
    chain = [one for one in _chain(error) if type(one).__module__ != "aiohttp.http_exceptions"]
    text = " ".join(str(chain[-1]).split())[:200]
    name = type(chain[-1]).__name__
    return f"{name}: {text}" if text else name
