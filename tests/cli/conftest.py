"""The two commands as functions."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import qoqtrain.cli
from qoqdata.cli import main


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
