"""Clips that several modules read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.readers.video_clips import CONTAINERS, written_clip


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same 20 frames in every container, by file name; tests damage copies only."""
    folder = tmp_path_factory.mktemp("clips")
    return {name: written_clip(folder / name, code) for name, code in CONTAINERS.items()}
