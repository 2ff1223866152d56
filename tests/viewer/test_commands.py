"""`qoqdata decide` and `qoqdata view` on the command line: one line for each mistake."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import qoqdata
from qoqdata.cli import main
from qoqdata.dataset import Dataset
from tests.cli.conftest import runner
from tests.remote.servers import Site, serving
from tests.viewer.conftest import BOXED


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    return runner("qoqdata", main.run, monkeypatch, capsys)


def test_decide_and_undo(command: Callable, dataset: Dataset) -> None:
    who = ("--author", "ana")
    code, out, _ = command("decide", dataset.root, BOXED, "drop", "--why", "cut off", *who)
    assert (code, out) == (0, f"decided: drop {BOXED}, decision 1 of ana: cut off\n")
    assert len(dataset) == 4
    code, out, _ = command("decide", dataset.root, BOXED, "undo", "--json", *who)
    assert code == 0 and json.loads(out)["why"] == "cut off"
    assert len(dataset) == 5
    assert qoqdata.decide(dataset, BOXED, False, why="again", author="ben").order == 3
    assert qoqdata.undo(dataset, author="ben").order == 3


def test_relabel_and_comment(command: Callable, dataset: Dataset) -> None:
    who = ("--author", "ana")
    words = ("relabel", "--answer", "Clear", "--why", "no effusion")
    code, out, _ = command("decide", dataset.root, BOXED, *words, *who)
    told = f"decided: relabel {BOXED}, right is Clear, decision 1 of ana: no effusion\n"
    assert (code, out) == (0, told) and len(dataset) == 4
    code, out, _ = command("decide", dataset.root, BOXED, "comment", "--why", "rotated", *who)
    assert (code, out) == (0, f"decided: comment 2 of ana on {BOXED}: rotated\n")
    code, out, _ = command("why", dataset.root, BOXED)
    assert code == 0 and "ana: relabel, right is Clear, no effusion" in out
    assert "comment 2" in out and "ana: rotated" in out
    code, out, _ = command("decide", dataset.root, BOXED, "undo", *who)
    assert (code, out) == (0, f"taken back: comment 2 of ana on {BOXED}: rotated\n")
    code, out, _ = command("decide", dataset.root, BOXED, "undo", "--json", *who)
    assert code == 0 and json.loads(out)["answer"] == "Clear" and len(dataset) == 5


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((BOXED, "relabel", "--why", "x"), 2, "relabel and --answer go together"),
        ((BOXED, "drop", "--why", "x", "--answer", "Clear"), 2, "relabel and --answer go together"),
        ((BOXED, "relabel", "--answer", "Nine", "--why", "x"), 2, "'Nine' is none of the options"),
        ((BOXED, "comment"), 2, "--why: a decision needs a reason. Fix: qoqdata decide"),
        ((BOXED, "drop"), 2, "--why: a decision needs a reason. Fix: qoqdata decide"),
        ((BOXED, "undo"), 2, "there is no decision to take back"),
        ((BOXED, "undo", "--why", "x"), 2, "taking back needs no reason"),
        (("0f3a", "keep", "--why", "x"), 1, "holds no record '0f3a'"),
    ],
)
def test_wrong_decisions(
    command: Callable, dataset: Dataset, arguments: tuple, code: int, words: str
) -> None:
    found, _, err = command("decide", dataset.root, *arguments)
    assert found == code and words in err and err.count("\n") == 1


def test_nothing_is_decided_behind_a_url(command: Callable, dataset: Dataset) -> None:
    with serving(Site(dataset.root.parent)) as site:
        code, _, err = command("decide", f"{site.url}/set", BOXED, "drop", "--why", "x")
    assert code == 2 and "`qoqdata decide` writes into the set" in err


def test_without_the_extra_one_line_tells_it(
    command: Callable, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("qoqdata.viewer")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "flask", None)
    code, _, err = command("view", dataset.root)
    assert (code, err) == (
        2,
        "error: `qoqdata view` needs Flask. Fix: pip install 'qoqdata[view]'\n",
    )


def test_an_address_that_cannot_be_bound(command: Callable, dataset: Dataset) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = command("view", dataset.root, "--port", port)
    assert code == 2 and f"127.0.0.1:{port}: cannot listen" in err and "--port" in err


def test_a_set_that_is_not_there(command: Callable, tmp_path: Path) -> None:
    code, _, err = command("view", tmp_path / "none")
    assert code == 1 and "there is no such data set" in err


def test_another_salt_is_told(dataset: Dataset, command: Callable, tmp_path: Path) -> None:
    (tmp_path / "salt").write_text("ab" * 32)
    raw = ("--raw", f"films={tmp_path}")
    code, _, err = command("view", dataset.root, *raw, "--salt-file", tmp_path / "salt")
    assert code == 2 and "was built with another salt" in err and err.count("\n") == 1
    code, _, err = command("view", dataset.root, *raw, "--salt-file", tmp_path / "none")
    assert code == 2 and "there is no salt file" in err
