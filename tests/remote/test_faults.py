"""Faults told apart: what passes, what lasts, what means absence."""

from __future__ import annotations

import errno
import socket
from types import SimpleNamespace

import pytest

from qoqdata.errors import DatasetError, UsageError
from qoqdata.remote import faults
from qoqdata.remote.faults import denied, explained, missing, status, transient


def http(code: int) -> Exception:
    from aiohttp import ClientResponseError

    request = SimpleNamespace(real_url="http://h/x")
    return ClientResponseError(request, (), status=code)  # type: ignore[arg-type]


def boto(name: str, code: int) -> Exception:
    pytest.importorskip("s3fs")
    from botocore.exceptions import ClientError
    from s3fs.errors import translate_boto_error

    content = {"Error": {"Code": name}, "ResponseMetadata": {"HTTPStatusCode": code}}
    return translate_boto_error(ClientError(content, "GetObject"))


def hub(code: int) -> Exception:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        from httpx2 import Request, Response
    except ImportError:
        from httpx import Request, Response
    request = Request("GET", "https://host/x")
    return HfHubHTTPError("no", response=Response(code, request=request))


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


PASSING = [
    ConnectionResetError(errno.ECONNRESET, "reset"),
    ConnectionRefusedError(errno.ECONNREFUSED, "refused"),
    BrokenPipeError(errno.EPIPE, "pipe"),
    TimeoutError(),
    socket.gaierror(socket.EAI_AGAIN, "no answer"),
    OSError(errno.EIO, "input/output"),
    http(500),
    http(503),
    http(429),
    http(408),
    hub(502),
    chained(FileNotFoundError("x"), http(500)),
    chained(FileNotFoundError("x"), ConnectionResetError()),
    DatasetError("differs from its digest"),
]
LASTING = [
    FileNotFoundError("x"),
    PermissionError(errno.EACCES, "no"),
    OSError(errno.ENOSPC, "full"),
    OSError(errno.EINVAL, "what"),
    http(400),
    http(404),
    http(401),
    hub(403),
    chained(FileNotFoundError("x"), http(404)),
    chained(FileNotFoundError("x"), KeyError("x")),
    chained(FileNotFoundError("x"), http(403)),
    UsageError("no"),
    TypeError("a fault in a program"),
    ValueError("a fault in a value"),
]


@pytest.mark.parametrize("error", PASSING, ids=repr)
def test_passing(error: Exception) -> None:
    assert transient(error) and not missing(error)


@pytest.mark.parametrize("error", LASTING, ids=repr)
def test_lasting(error: Exception) -> None:
    assert not transient(error)


@pytest.mark.parametrize(
    ("name", "code", "outcome"),
    [
        ("SlowDown", 503, "passing"),
        ("InternalError", 500, "passing"),
        ("RequestTimeout", 400, "passing"),
        ("NoSuchKey", 404, "missing"),
        ("NoSuchBucket", 404, "missing"),
        ("AccessDenied", 403, "denied"),
        ("InvalidAccessKeyId", 403, "denied"),
        ("SignatureDoesNotMatch", 403, "denied"),
        ("InvalidBucketName", 400, "lasting"),
    ],
)
def test_s3(name: str, code: int, outcome: str) -> None:
    error = boto(name, code)
    found = {"passing": transient(error), "missing": missing(error), "denied": denied(error)}
    assert [kind for kind, holds in found.items() if holds] == (
        [] if outcome == "lasting" else [outcome]
    )


def test_status() -> None:
    assert status(http(418)) == 418 and status(hub(503)) == 503
    assert status(chained(OSError("x"), http(502))) == 502
    assert status(ValueError("404")) is None


def test_absence_is_only_what_the_store_says() -> None:
    assert missing(FileNotFoundError("x"))
    assert missing(chained(FileNotFoundError("x"), http(404)))
    assert missing(chained(FileNotFoundError("x"), http(410)))
    assert missing(chained(FileNotFoundError("x"), KeyError("x")))
    for cause in (http(500), http(403), TimeoutError(), ConnectionResetError()):
        assert not missing(chained(FileNotFoundError("x"), cause))


@pytest.mark.parametrize(
    ("url", "fix"),
    [
        ("s3://b/x", "anon"),
        ("gcs://b/x", "gcloud auth"),
        ("hf://datasets/O/N", "hf auth login"),
        ("https://h/x", "credentials"),
    ],
)
def test_what_helps_against_a_denial(url: str, fix: str) -> None:
    error = explained(PermissionError("Forbidden\nand more"), url)
    assert isinstance(error, UsageError) and error.fix is not None and fix in error.fix
    assert "\n" not in str(error) and str(error).startswith(url)


def test_a_full_disk() -> None:
    error = explained(OSError(errno.ENOSPC, "No space left on device"), "s3://b/x")
    assert isinstance(error, DatasetError)
    assert "No space left on device" in error.what and "QOQDATA_CACHE" in str(error.fix)


class Attempts:
    """Faults in turn, then a result."""

    def __init__(self, *faults: Exception) -> None:
        self.faults, self.calls = list(faults), 0

    def __call__(self) -> str:
        self.calls += 1
        if self.faults:
            raise self.faults.pop(0)
        return "result"


def test_retried_until_it_works() -> None:
    attempts = Attempts(*[http(500)] * len(faults.WAITS))
    assert faults.retried(attempts, url="http://h/x") == "result"
    assert attempts.calls == 5


def test_retried_no_further() -> None:
    attempts = Attempts(*[http(500)] * 9)
    with pytest.raises(DatasetError, match=r"http://h/x: cannot be reached.*500"):
        faults.retried(attempts, url="http://h/x")
    assert attempts.calls == 5


def test_what_lasts_is_not_retried() -> None:
    for fault in (http(403), http(400), PermissionError("no")):
        attempts = Attempts(fault)
        with pytest.raises((DatasetError, UsageError)):
            faults.retried(attempts, url="http://h/x")
        assert attempts.calls == 1


def test_damage_gets_one_more_try() -> None:
    assert faults.retried(Attempts(DatasetError("digest")), url="http://h/x") == "result"
    attempts = Attempts(http(500), DatasetError("digest"), DatasetError("digest"))
    with pytest.raises(DatasetError, match="digest"):
        faults.retried(attempts, url="http://h/x")
    assert attempts.calls == 3


@pytest.mark.parametrize(
    "fault", [http(404), hub(404), chained(FileNotFoundError("x"), http(404))], ids=repr
)
def test_absence_is_told_as_such(fault: Exception) -> None:
    attempts = Attempts(fault)
    with pytest.raises(FileNotFoundError):
        faults.retried(attempts, url="http://h/x")
    assert attempts.calls == 1
