"""A package of somebody else's adds a source, and gets the suite for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from qoqdata.suite.scaffold import scaffold, write_expected


@pytest.mark.slow
def test_an_outside_package_adds_a_source(tmp_path: Path) -> None:
    check_outside_package(sys.executable, tmp_path)


def check_outside_package(python: str | Path, folder: Path) -> None:
    """Write a package with one source, and have `python` list it and run its suite."""
    site = folder / "site"
    package = site / "lab_sources" / "eyes"
    package.mkdir(parents=True)
    source = scaffold("lab_fundus", "fundus", package)
    write_expected(source, folder / "set")
    metadata = site / "lab-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[qoqdata.sources]\nlab = lab_sources\n")

    def run(*command: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(site)}
        done = subprocess.run(
            [str(python), *command],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    listing = run("-c", "from qoqdata.cli.main import run; run()", "sources")
    assert "lab_fundus" in listing
    assert "ptb_xl" in listing
    suite = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--pyargs", "qoqdata.suite.checks")
    # Card, example, tasks, validity, disk order, process, two kinds of damage, two simulated
    # trees; its paths are public.
    assert "10 passed, 1 skipped" in run(*suite, "--qoqdata-source", "lab_fundus")
