"""Which roots are URLs, and what a user reads when one cannot be opened."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

import pytest

import qoqdata
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError, QoqdataError, UsageError
from qoqdata.remote.urls import is_url, local_path, scheme, shown


@pytest.mark.parametrize(
    ("root", "wanted"),
    [
        ("s3://bucket/set", "s3"),
        ("hf://datasets/ORG/NAME@rev", "hf"),
        ("HTTPS://host/set", "https"),
        ("simplecache::s3://bucket/set", "simplecache"),
        ("git+ssh://host/set", "git+ssh"),
        ("set", None),
        ("/a/b:c/set", None),
        ("./s3:/set", None),
        ("C:set", None),
        (Path("s3://bucket"), None),
    ],
)
def test_what_is_a_url(root: str | Path, wanted: str | None) -> None:
    assert is_url(root) == (wanted is not None)
    if wanted is not None:
        assert scheme(str(root)) == wanted


def test_local_paths() -> None:
    assert local_path("a/b") == Path("a/b") == local_path(Path("a/b"))
    assert local_path("file:///a/b c") == Path("/a/b c")
    assert local_path("s3://bucket/set") is None


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://me:secret@host/set/", "https://host/set"),
        ("hf://datasets/ORG/NAME@rev", "hf://datasets/ORG/NAME@rev"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
    ],
)
def test_messages_hold_no_password(url: str, wanted: str) -> None:
    assert shown(url) == wanted


def test_a_file_url_is_the_folder_itself(local: Dataset, cache: Path) -> None:
    opened = qoqdata.open(f"file://{local.root}")
    assert opened == local and opened.paths == local.paths
    assert opened.kept().equals(local.kept())
    assert not cache.exists()


def fault(url: str, **options: object) -> QoqdataError:
    with pytest.raises(QoqdataError) as raised:
        qoqdata.open(url, storage_options=options)
    assert "\n" not in str(raised.value)
    return raised.value


def test_an_unknown_scheme() -> None:
    error = fault("nothing://host/set")
    assert isinstance(error, UsageError) and "Protocol not known: nothing" in str(error)
    assert "s3://, gs://, hf:// or https://" in str(error)


@pytest.mark.parametrize(
    ("url", "module", "fix"),
    [
        ("s3://bucket/set", "s3fs", "pip install 'qoqdata[s3]'"),
        ("gs://bucket/set", "gcsfs", "pip install gcsfs"),
        ("abfs://container/set", "adlfs", "install it with pip"),
    ],
)
def test_a_package_that_lacks(
    monkeypatch: pytest.MonkeyPatch, url: str, module: str, fix: str
) -> None:
    known = import_module("fsspec.registry")._registry
    monkeypatch.delitem(known, scheme(url), raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    error = fault(url)
    assert isinstance(error, UsageError) and f"Fix: {fix}" in str(error)
    assert module in error.what


def test_options_that_a_file_system_refuses() -> None:
    error = fault("http://host/set", client_kwargs=3)
    assert isinstance(error, UsageError) and "cannot be opened" in str(error)


def test_nobody_answers() -> None:
    error = fault("http://127.0.0.1:9/set")
    assert isinstance(error, DatasetError)
    assert "cannot be reached" in str(error) and "check the address" in str(error)


def test_no_such_host() -> None:
    # .invalid is reserved (RFC 2606): it resolves nowhere, with or without a network.
    error = fault("http://no-such-host.invalid/set")
    assert isinstance(error, DatasetError) and "cannot be reached" in str(error)


def test_a_size_that_is_none() -> None:
    with pytest.raises(UsageError, match="is not a size"):
        qoqdata.open("memory://set", cache_bytes=0)
