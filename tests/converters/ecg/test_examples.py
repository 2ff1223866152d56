"""The examples of collections in the form of the Challenges are what their simulators write."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from qoqdata.sources.catalogue import find_source


def comments(root: Path) -> dict[str, list[str]]:
    """The comments of headers, and the lines of indexes; nothing of other files."""
    found = {}
    for path in root.rglob("*"):
        if path.is_file():
            text = "" if path.suffix == ".mat" else path.read_text()
            whole = path.suffix != ".hea"
            lines = [line for line in text.splitlines() if whole or line.startswith("#")]
            found[path.relative_to(root).as_posix()] = lines
    return found


@pytest.mark.parametrize(
    ("slug", "n", "seconds"),
    [("chapman_shaoxing", 16, 1), ("georgia", 14, (0.5, 1)), ("cpsc2018", 13, (0.6, 2))],
)
def test_an_example_is_simulated(tmp_path: Path, slug: str, n: int, seconds: Any) -> None:
    """But for the last bit of a sample, which another processor may round otherwise."""
    source = find_source(slug)
    code = import_module(source.module.removesuffix("source") + "simulate")
    code.simulate(tmp_path, n, quirks=True, seconds=seconds)
    assert comments(tmp_path) == comments(source.folder / "example" / "raw")
