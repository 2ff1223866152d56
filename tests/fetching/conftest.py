"""A served folder, no waiting between attempts, and the commands as functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from qoqdata.fetching import http
from tests.cli.conftest import qoqdata
from tests.remote.servers import Site, serving

__all__ = ["qoqdata"]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "WAITS", (0.0, 0.0))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    with serving(Site(folder)) as running:
        yield running
