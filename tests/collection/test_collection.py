"""A published set: its sources, where they lie, what of it is there, and its page."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import qoqdata as package
from qoqdata.collection.collection import Collection, load_collection, shipped_collections
from qoqdata.collection.counts_page import counts_page
from qoqdata.collection.survey import build_config, take_stock
from qoqdata.errors import UsageError
from qoqdata.settings import checked
from qoqdata.sources.catalogue import find_source
from tests.documents import ROOT

PARTS = [
    {
        "source": "lc25000",
        "folders": ["lc25000", "pathology/lc25000"],
        "published": {"records": 300, "train": 200, "test": 100},
        "differs": "theirs is cut short",
    },
    {"source": "ham10000", "folders": ["ham10000"], "published": None, "differs": "not stated"},
    {
        "source": "from_another_planet",
        "folders": ["planet"],
        "published": {"records": 100, "train": 100, "test": 0},
        "differs": "unknown",
    },
]


def small() -> Collection:
    content = {"name": "small", "title": "Small", "total": 400, "about": "Three.", "parts": PARTS}
    return checked(Collection, content, where="small")


def test_the_shipped_collection_is_whole() -> None:
    assert shipped_collections() == ("qoq_med",)
    qoq_med = load_collection("qoq_med")
    slugs = [part.source for part in qoq_med.parts]
    # All training sources of the catalogue whose counts the authors state, by hand.
    assert {"mimic_cxr", "rspect", "inspect", "lndb", "ptb_xl", "mimic_iv", "busi"} <= set(slugs)
    cards = package.cards()
    assert all(cards[slug].role == "training" for slug in slugs if slug in cards)
    # 705,116 two-dimensional ones, as the notes of the facts add them up from the same table.
    flat = slugs[: slugs.index("bcss") + 1]
    stated = [part.published for part in qoq_med.parts if part.source in flat]
    assert sum(one.records for one in stated if one) == 705_116
    for part in qoq_med.parts:
        if part.source in cards:
            assert set(part.options) <= set(cards[part.source].options)


def test_what_is_there_is_told_from_what_is_missing_and_unknown(tmp_path: Path) -> None:
    (tmp_path / "pathology/lc25000/lung").mkdir(parents=True)
    (tmp_path / "ham10000").mkdir()
    (tmp_path / "planet/x").mkdir(parents=True)
    survey = take_stock(small(), tmp_path, package.cards())
    assert survey.present == {"lc25000": tmp_path / "pathology/lc25000"}
    assert survey.missing == ("ham10000",)  # Its folder is empty.
    assert survey.unknown == ("from_another_planet",)
    assert survey.present_records == 300
    assert survey.share == 0.75
    (request,) = build_config(survey).sources
    assert (request.source, request.raw) == ("lc25000", tmp_path / "pathology/lc25000")


def test_two_folders_of_one_source_are_refused(tmp_path: Path) -> None:
    for folder in ("lc25000/a", "pathology/lc25000/b"):
        (tmp_path / folder).mkdir(parents=True)
    with pytest.raises(UsageError, match="lies in lc25000 and pathology/lc25000"):
        take_stock(small(), tmp_path, package.cards())


def test_one_folder_by_two_names_is_one(tmp_path: Path) -> None:
    (tmp_path / "lc25000/a").mkdir(parents=True)
    (tmp_path / "pathology").mkdir()
    (tmp_path / "pathology/lc25000").symlink_to(tmp_path / "lc25000")
    survey = take_stock(small(), tmp_path, package.cards())
    assert survey.present == {"lc25000": tmp_path / "lc25000"}


def test_an_empty_disk_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no source of small"):
        build_config(take_stock(small(), tmp_path, package.cards()))
    with pytest.raises(UsageError, match="is no folder"):
        take_stock(small(), tmp_path / "absent", package.cards())


def test_a_source_or_folder_that_is_there_twice_is_refused() -> None:
    content = small().model_dump()
    content["parts"] = [*PARTS, PARTS[1]]
    with pytest.raises(UsageError, match="the source ham10000 is there twice"):
        checked(Collection, content, where="small")


def test_the_command_builds_what_is_there(
    qoqdata: Callable[..., tuple[int, str, str]], salt: Path, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(find_source("lc25000").folder / "example/raw", raw / "pathology/lc25000")
    arguments = ("--raw", raw, "--out", tmp_path / "set", "--workers", "0")
    code, out, _ = qoqdata("build", "--config", "qoq_med", *arguments)
    assert code == 0
    assert "1 of 36 sources are there" in out
    assert f"put it into {raw / 'ham10000'}" in out
    get = " ".join(find_source("ham10000").card.get.split())
    assert get in " ".join(out.split())
    assert "there: 18,750 of 2,839,240 published records, 0.66 %" in out
    _, out, _ = qoqdata("build", "--config", "qoq_med", *arguments, "--json")
    found = json.loads(out)
    assert list(found["sources"]) == ["lc25000"]
    assert found["collection"]["present"] == {"lc25000": str(raw / "pathology/lc25000")}


def test_a_name_without_raw_and_a_wrong_name_are_told(
    qoqdata: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    code, _, err = qoqdata("build", "--config", "qoq_med", "--out", tmp_path / "set")
    assert (code, "--raw is missing" in err) == (2, True)
    code, _, err = qoqdata(
        "build", "--config", "qoq_mad", "--raw", tmp_path, "--out", tmp_path / "set"
    )
    assert code == 2
    assert "qoq_med" in err


def test_the_page_is_up_to_date() -> None:
    """`python -m qoqdata.collection qoq_med` writes it anew."""
    page = counts_page(load_collection("qoq_med"), package.cards())
    assert (ROOT / "docs/qoq_med.md").read_text(encoding="utf-8") == page


def test_the_page_tells_a_dash_from_a_number() -> None:
    page = counts_page(small(), package.cards())
    assert (
        "| lc25000 | `lc25000` or `pathology/lc25000` | 300 | 200 | 100 | 25,000 | 75,000 |" in page
    )
    assert "| ham10000 | `ham10000` | – | – | – | 10,015 | – |" in page
    assert (
        "| from_another_planet | `planet` | 100 | 100 | 0 | – | – | not in this catalogue |" in page
    )
