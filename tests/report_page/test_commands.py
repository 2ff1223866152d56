"""`qoqdata report` and `qoqdata plot` on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qoqdata.cli import main
from qoqdata.dataset import Dataset
from tests.cli.conftest import runner


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    return runner("qoqdata", main.run, monkeypatch, capsys)


def test_report(command: Callable, dataset: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    code, said, _ = command("report", dataset.root, "--out", out, "--json")
    assert code == 0
    assert json.loads(said) == {"file": str(out), "bytes": out.stat().st_size}
    code, said, _ = command("report", dataset.root, "--quiet")
    assert (
        code == 0
        and said.startswith(f"{dataset.root}/report/index.html  (")
        and said.endswith(" kB)\n")
    )
    code, _, told = command("report", dataset.root, "--samples", "some")
    assert (code, told) == (
        2,
        "error: --samples: 'some' says nothing of samples. Fix: one of open, all, none\n",
    )


def test_plot(command: Callable, dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    code, said, _ = command(
        *("plot", dataset.root, "--out", tmp_path / "figures", "--format", "svg", "--json")
    )
    found = json.loads(said)
    assert code == 0
    assert {Path(path).name for path in found["files"]} == {
        *(f"{what}_by_{key}.svg" for what in ("records", "splits") for key in ("domain", "source")),
        *("label_balance.svg", "age_and_sex.svg"),
    }
    assert all(Path(path).stat().st_size > 1000 for path in found["files"])
    reason = "There are no statistics yet: run `qoqdata stats`."
    assert found["lacking"] == {
        f"rarity_and_difficulty_by_{key}": reason for key in ("domain", "source")
    }


def test_plot_mistakes(
    command: Callable, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, told = command("plot", dataset.root, "--out", tmp_path, "--format", "png")
    assert (code, told) == (
        2,
        "error: --format: 'png' is no format of figures. Fix: of svg, pdf\n",
    )
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, told = command("plot", dataset.root, "--out", tmp_path / "figures")
    assert (code, told) == (
        2,
        "error: plots need matplotlib. Fix: pip install 'qoqdata[plot]'\n",
    )
