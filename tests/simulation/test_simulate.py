"""Simulators of sources: what they write, what the command and the function say of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import qoqdata
from qoqdata.cli import main
from qoqdata.errors import CardError, UsageError
from qoqdata.sources import catalogue
from qoqdata.suite import examples
from qoqdata.suite.examples import build_example
from tests.cli.conftest import runner


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    return runner("qoqdata", main.run, monkeypatch, capsys)


def tree(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_an_example_is_what_its_simulator_writes(tmp_path: Path) -> None:
    source = catalogue.find_source("lc25000")
    assert qoqdata.simulate("lc25000", n=10, out=tmp_path / "raw") == 11
    ours, theirs = tree(tmp_path / "raw"), tree(source.folder / "example" / "raw")
    assert sorted(ours) == sorted(theirs)
    name = "lc25000_image_groups.csv"
    assert ours[name] == theirs[name]
    # The bytes of a JPEG are those of one version of Pillow, so pixels are compared as records.
    built = build_example(source, tmp_path / "set", raw=tmp_path / "raw")

    def without_digest(rows: tuple) -> list:
        return [row | {"provenance": row["provenance"]["raw"]} for row in rows]

    expected = examples.read_expected(source, examples.RECORDS)
    assert without_digest(built.records) == without_digest(expected)


def test_a_seed_is_a_tree(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        qoqdata.simulate("lc25000", n=7, out=tmp_path / name, seed=seed)
    one, two, other = (tree(tmp_path / name) for name in "abc")
    assert one == two and sorted(one) == sorted(other)
    images = [path for path in one if path.endswith(".jpeg")]
    assert len(images) == 7 and all(one[path] != other[path] for path in images)
    note = json.loads(other[".synthetic.json"])
    assert (note["source"], note["n"], note["seed"], note["quirks"]) == ("lc25000", 7, 2, False)


def test_quirks_end_as_they_say(tmp_path: Path) -> None:
    source = catalogue.find_source("lc25000")
    qoqdata.simulate("lc25000", n=50, out=tmp_path / "raw", quirks=True)
    built = build_example(source, tmp_path / "set", raw=tmp_path / "raw")
    assert len(built.records) == 3 * 49
    assert [row["reason"] for row in built.quarantine] == ["missing_file"]
    assert catalogue.quirks(source) == {"missing_file"}


def test_progress_counts_files(tmp_path: Path) -> None:
    heard: list[int] = []
    qoqdata.simulate("lc25000", n=3, out=tmp_path / "raw", progress=heard.append)
    assert heard == [1, 2, 3, 4]


def test_the_command(command: Callable, tmp_path: Path) -> None:
    code, text, _ = command("simulate", "lc25000", "--n", "5", "--out", str(tmp_path / "raw"))
    assert code == 0 and text.strip().endswith("raw: 5 made-up units of lc25000 in 6 files")
    arguments = ("--n", "5", "--out", str(tmp_path / "two"), "--seed", "3", "--quirks", "--json")
    code, text, _ = command("simulate", "lc25000", *arguments)
    assert code == 0 and json.loads(text)["files"] == 5


def test_the_catalogue_says_who_has_one(command: Callable) -> None:
    assert "lc25000" in qoqdata.simulated() and "image_table" not in qoqdata.simulated()
    _, text, _ = command("sources")
    told = dict(zip(qoqdata.cards(), text.split("verified ")[1:], strict=True))
    assert "; simulated" in told["lc25000"] and "; simulated" not in told["image_table"]
    assert "qoqdata simulate lc25000 --n 50" in command("sources", "lc25000")[1]
    assert "qoqdata simulate" not in command("sources", "image_table")[1]


@pytest.mark.parametrize(
    ("slug", "n", "there", "said"),
    [
        ("image_table", 5, False, "image_table: has no simulator.*lc25000"),
        ("lc25000", 0, False, "0 units are none"),
        ("lc25000", 5, True, "is there already"),
    ],
)
def test_what_cannot_be_simulated(
    tmp_path: Path, slug: str, n: int, there: bool, said: str
) -> None:
    if there:
        (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=said):
        qoqdata.simulate(slug, n=n, out=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["file"] * there


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A source of a package called `toy_lab`, as a copy of lc25000's code and card."""
    shipped = catalogue.find_source("lc25000").folder
    folder = tmp_path / "toy_lab" / "lc25000"
    folder.mkdir(parents=True)
    for name in ("card.yaml", "source.py"):
        (folder / name).write_text((shipped / name).read_text())
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.startswith("toy_lab")]:
        del sys.modules[name]


def test_a_simulator_changes_no_shard(folder: Path) -> None:
    def digest() -> str:
        return catalogue.load_source(folder, "toy_lab.lc25000.source").code_digest

    before = digest()
    (folder / "simulate.py").write_text("QUIRKS = {}\n")
    assert digest() == before
    (folder / "table.csv").write_text("a\n")
    assert digest() != before


def test_a_simulator_is_imported_when_it_is_called(folder: Path, tmp_path: Path) -> None:
    (folder / "simulate.py").write_text("QUIRKS = {'bad_table': 'why'}\n")
    source = catalogue.load_source(folder, "toy_lab.lc25000.source")
    assert "toy_lab.lc25000.simulate" not in sys.modules
    assert source.simulate is not None
    with pytest.raises(CardError, match="does not define simulate"):
        source.simulate(tmp_path / "raw", 3)
