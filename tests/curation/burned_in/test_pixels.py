"""A pass over the pixels of a data set: findings, decisions, receipt, page."""

from __future__ import annotations

import stat
from pathlib import Path

import polars as pl
import pytest

import qoqdata
from qoqdata.curation.burned_in import findings as findings_module
from qoqdata.curation.burned_in.findings import FINDINGS
from qoqdata.dataset import Dataset, open_dataset
from tests.curation.burned_in.films import films, films_set, three_films, without_ocr, write
from tests.scenes import scene


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return three_films(tmp_path_factory.mktemp("films") / "raw")


@pytest.fixture
def mine(raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    without_ocr(monkeypatch)
    return films_set(raw, tmp_path / "set")


def test_the_name_is_found_with_its_box(mine: Dataset) -> None:
    result = qoqdata.curate(mine)
    assert result.pixels is not None
    found = result.pixels.findings
    assert dict(found.schema) == FINDINGS | {"outcome": pl.String}
    (line,) = found.filter(kind="text").iter_rows(named=True)
    assert (line["source"], line["image"], line["outcome"]) == ("mine", 0, "open")
    assert line["x0"] < 16 and line["x1"] > 120 and line["y0"] < 14 and 24 < line["y1"] < 50
    assert result.pixels.receipt.open == 1
    assert result.pixels.receipt.sources["mine"].images == 3
    # It is left open: no record is dropped without a person's word.
    assert result.verdicts.height == 0 and len(open_dataset(mine.root)) == 3


def test_the_page_shows_it_to_the_owner_only(mine: Dataset) -> None:
    (line,) = qoqdata.curate(mine).pixels.findings.filter(kind="text").iter_rows(named=True)
    page = mine.layout.burned_in_page
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert line["id"] in page.read_text() and page.read_text().count("<img") == 1


@pytest.mark.parametrize("on_finding", ["open", "drop", "blank"])
def test_the_recipe_decides(mine: Dataset, on_finding: str) -> None:
    recipe = {"burned_in": {"on_finding": on_finding}}
    result = qoqdata.curate(mine, recipe=recipe)
    outcome = "dropped" if on_finding == "drop" else on_finding
    assert result.pixels.findings.filter(kind="text")["outcome"].to_list() == [outcome]
    kept = len(open_dataset(mine.root))
    assert kept == (2 if on_finding == "drop" else 3)
    if on_finding == "drop":
        assert result.verdicts["rule"].to_list() == ["burned_in"]
        # Verdicts of this rule are taken back with the decision.
        assert qoqdata.curate(mine).verdicts.height == 0


def test_what_a_person_accepts_is_no_longer_open(mine: Dataset) -> None:
    accept = [{"source": "mine", "image": 0, "why": "a phantom"}]
    result = qoqdata.curate(mine, recipe={"burned_in": {"accept": accept}})
    assert result.pixels.receipt.open == 0
    other = [{"source": "mine", "image": 1, "why": "another image"}]
    result = qoqdata.curate(mine, recipe={"burned_in": {"accept": other}})
    assert result.pixels.receipt.open == 1


def test_a_second_pass_gives_the_same_bytes(mine: Dataset) -> None:
    paths = ("burned_in_findings", "burned_in_receipt", "burned_in_page")
    before, after = (
        [getattr(mine.layout, name).read_bytes() for name in paths]
        for _ in range(2)
        if qoqdata.curate(mine)
    )
    assert before == after


def test_nobody_looks_where_nobody_asked(mine: Dataset) -> None:
    assert qoqdata.curate(mine, burned_in=False).pixels is None
    assert not mine.layout.burned_in_receipt.exists()


def test_an_image_that_stands_twice_is_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_ocr(monkeypatch)
    named = write(scene(0, 240), "SMITH^JOHN 1943")
    dataset = films_set(films(tmp_path / "raw", one=named, two=named), tmp_path / "set")
    looked = []
    look = findings_module.look
    monkeypatch.setattr(findings_module, "look", lambda *a, **k: looked.append(1) or look(*a, **k))
    result = qoqdata.curate(dataset)
    assert len(looked) == 1
    assert result.pixels.findings["id"].n_unique() == 2
