"""The two commands as functions, and a set for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import qoqtrain.cli
from qoqdata import build
from qoqdata.cli import main
from qoqdata.sources import catalogue


@pytest.fixture
def qoqdata(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    """Run `qoqdata ARGS`; returns exit code, standard output and standard error."""
    return runner("qoqdata", main.run, monkeypatch, capsys)


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    """Run `qoqtrain ARGS`."""
    return runner("qoqtrain", qoqtrain.cli.run, monkeypatch, capsys)


def runner(name: str, entry: Callable, patch: pytest.MonkeyPatch, cap: pytest.CaptureFixture):
    def run(*arguments: str | Path) -> tuple[int, str, str]:
        patch.setattr("sys.argv", [name, *map(str, arguments)])
        try:
            entry()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        captured = cap.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return code, captured.out, captured.err

    return run


@pytest.fixture
def salt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A salt file of this test, so that the user's own is left alone."""
    path = tmp_path / "salt"
    path.write_text("cd" * 32)
    monkeypatch.setenv("QOQDATA_SALT_FILE", str(path))
    return path


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built set, whose raw folder has two faulty rows; read only."""
    example = catalogue.find_source("image_table").folder / "example"
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "salt").write_text("cd" * 32)
    build(
        "image_table",
        raw=example / "raw",
        mapping=example / "mapping.yaml",
        out=folder / "films",
        workers=0,
        salt_file=folder / "salt",
    )
    return folder / "films"
