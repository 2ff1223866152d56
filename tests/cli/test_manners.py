"""How commands speak: help that starts fast and keeps lines, progress, logs, tables, JSON."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.main import get_command

import qoqtrain.cli
from qoqdata import console
from qoqdata.cli.main import app
from qoqdata.sources import catalogue

EXAMPLE = catalogue.find_source("image_table").folder / "example"
#: They serve pages until they are ended: their result is an address.
NO_JSON = {"view", "watch"}


@pytest.mark.parametrize("module", ["qoqdata.cli.main", "qoqtrain.cli"])
def test_help_imports_nothing_that_takes_long(module: str) -> None:
    """What commands work with is imported once they do; help has none of it."""
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = set(done.stdout.split())
    heavy = {"numpy", "polars", "pyarrow", "pydantic", "scipy", "torch", "PIL", "datasets", "yaml"}
    assert "rich" in loaded
    assert not heavy & loaded


@pytest.mark.parametrize("application", [app, qoqtrain.cli.app], ids=["qoqdata", "qoqtrain"])
def test_every_command_takes_the_same_manners(application: object) -> None:
    for name, command in get_command(application).commands.items():  # type: ignore[arg-type]
        options = {option for one in command.params for option in one.opts}
        assert {"--quiet", "--verbose", "--log-file"} <= options, name
        assert "--json" in options or name in NO_JSON, name


@pytest.mark.parametrize("command", [["-h"], ["build", "-h"], ["curate", "--help"]])
def test_examples_keep_their_lines(qoqdata: Callable, command: list[str]) -> None:
    code, text, _ = qoqdata(*command)
    assert code == 0
    if command[0] == "build":
        line = (
            "  With your own files:  qoqdata build image_table --raw ./raw --mapping mapping.yaml"
        )
        assert f"{line} --out ./set\n" in text
    if command[0] == "curate":
        assert "    phi:\n      on_finding: hold            # hold (default), drop, or open" in text


@pytest.fixture
def build(qoqdata: Callable, salt: Path, tmp_path: Path) -> Callable:
    def run(*more: str | Path, out: str = "set") -> tuple[int, str, str]:
        files = ("--raw", EXAMPLE / "raw", "--mapping", EXAMPLE / "mapping.yaml")
        where = ("--out", tmp_path / out, "--workers", "0")
        return qoqdata("build", "image_table", *files, *where, *more)

    return run


def test_quiet_has_results_and_no_progress(build: Callable) -> None:
    _, text, told = build()
    assert "train-00000 written, 2 records" in told
    code, quiet, told = build("--quiet", out="other")
    assert (code, told) == (1, "")
    assert quiet.splitlines()[:2] == text.splitlines()[:2]
    # One command's manner is not the next one's.
    assert "train-00000 unchanged, 2 records" in build()[2]


def test_a_log_has_steps_and_errors_also_of_quiet_commands(
    qoqdata: Callable, build: Callable, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    build("--quiet", "--log-file", log)
    qoqdata("validate", tmp_path / "none", "--log-file", log)
    times, lines = zip(*(line.split(" ", 1) for line in log.read_text().splitlines()), strict=True)
    assert lines[:2] == (
        "our_films: 4 units in 3 shards, 2 left out",
        "our_films: test-00000 written, 1 records",
    )
    assert lines[-1].startswith(f"error: {tmp_path / 'none'}: there is no such data set")
    assert list(times) == sorted(times)
    code, _, told = build("--log-file", tmp_path, out="third")
    assert (code, told.count("\n")) == (3, 1)
    assert not (tmp_path / "third").exists()


def test_verbose_says_where_an_error_is_from(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "qoqdata", "validate", str(tmp_path / "none"), "--verbose"]
    told = subprocess.run(command, capture_output=True, text=True).stderr
    assert "read_manifest" in told
    assert told.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize("package", ["qoqdata", "qoqtrain"])
def test_a_package_runs_as_its_command(package: str) -> None:
    run = subprocess.run([sys.executable, "-m", package, "none"], capture_output=True, text=True)
    assert run.returncode == 2
    assert "none" in run.stderr.splitlines()[-1]


@pytest.mark.parametrize("width", [40, 80, 100, 160])
def test_no_word_of_a_table_is_cut(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    heads = ("source", "reason", "units", "for example", "quarantined", "filtered", "left out")
    long = "films/film_with_a_long_name_9.png: labels.csv names it, but it is not there"
    rows = [
        ("chest_films_of_our_hospital", "missing_file", 12345, long, 1, None, True),
        ("b", "outside_root", 2, "../secret.png", 1.5, 0, False),
    ]
    sheet = Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)
    monkeypatch.setattr(console, "out", sheet)
    console.table(heads, rows)
    text = capsys.readouterr().out
    words = {word.rstrip(":;") for word in text.replace(";", " ").split()}
    for cell in (*heads, *(value for row in rows for value in row if isinstance(value, str))):
        assert {word.rstrip(":;") for word in cell.split()} <= words
    assert "12,345" in words
    if width == 160:
        assert text.splitlines()[0].split()[:2] == ["source", "reason"]


@pytest.mark.parametrize("width", range(20, 100, 3))
def test_a_table_is_never_wider_than_the_terminal(
    width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Headings of two words in many narrow columns, as those of statistics."""
    heads = ("domain", "questions", "studies", "patients", "images", "share", "rarity",
             "label bits", "success rate")  # fmt: skip
    rows = [("dermoscopy", 24, 6, None, 6, 0.462, 0.736, 2.64, 0.642)]
    sheet = Console(width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)
    monkeypatch.setattr(console, "out", sheet)
    console.table(heads, rows)
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= max(width, 40)
    words = set(text.replace(";", " ").split())
    assert {word for head in heads for word in head.split()} <= words
    assert {"dermoscopy", "24", "0.462", "0.736", "2.64", "0.642"} <= words


def test_completion_is_offered(train: Callable, qoqdata: Callable) -> None:
    assert "--install-completion" in qoqdata("--help")[1]
    assert "--install-completion" in train("--help")[1]
