"""Attacks on a process that handles Ctrl-C as Python does, and sets to be attacked."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from qoqdata.publication.staging import stage
from tests.publication.conftest import build_set


@pytest.fixture(autouse=True)
def _python_handles_interrupts() -> Iterator[None]:
    """Libraries that other tests import in the same process take the signal for themselves."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before or signal.default_int_handler)


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release with pixels of one source and a recipe of another."""
    folder = tmp_path_factory.mktemp("hostile")
    dataset = build_set(folder / "set", "ham10000", "lc25000")
    return stage(dataset, folder / "release").root


@pytest.fixture
def release(released: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(released, tmp_path / "release"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_set(tmp_path_factory.mktemp("whole") / "set", "ham10000").root
