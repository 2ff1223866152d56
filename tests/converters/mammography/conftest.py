"""An empty tree of CBIS-DDSM."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.converters.mammography.cbis_tree import Tree


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """An empty tree; all four tables need a row, so three other films are there."""
    tree = Tree(tmp_path / "raw")
    for number, case in enumerate(("Mass-Training", "Mass-Test", "Calc-Training", "Calc-Test")):
        tree.film(f"{case}_P_0090{number}_LEFT_CC")
        tree.lesion(f"{case}_P_0090{number}_LEFT_CC_1")
    return tree
