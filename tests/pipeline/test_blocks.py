"""Block lists: cases that a benchmark uses are not in train, with a reason and a count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from blake3 import blake3

from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Manifest
from qoqdata.dataset import open_dataset
from qoqdata.pipeline import progress
from qoqdata.sources import catalogue
from qoqdata.sources.card import card_digest, load_card
from qoqdata.sources.protocol import Source
from qoqdata.validation import find
from tests.contract.test_card import CONTENT
from tests.pipeline.toys import keys, messages, raw_tree, run, toy

#: Officially in train: three patients with two studies each, one alone; one patient is in test.
STUDIES = [
    *[(f"{patient}{n}", patient, "train") for patient in "abc" for n in (1, 2)],
    ("d1", "d", "train"),
    ("e1", "e", "test"),
]
WHY = "used by the benchmark Quiz, its appendix A"


def quiz(*blocks: dict[str, Any]) -> Source:
    """A benchmark whose card lists cases of films."""
    listed = [{"source": "films", "reason": WHY} | block for block in blocks]
    return toy("quiz", role="evaluation", block=listed)


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    return raw_tree(tmp_path / "films", STUDIES)


@pytest.fixture
def quiz_raw(tmp_path: Path) -> Path:
    return raw_tree(tmp_path / "quiz", [("q", "q", "train")])


def by_split(root: Path) -> dict[str, list[str]]:
    """The texts of the records of films by split."""
    frame = open_dataset(root).records.filter(pl.col("source") == "films").collect()
    found = frame.group_by("split").agg(pl.col("context").sort()).sort("split")
    return {
        split: [text.removeprefix("The study ").rstrip(".") for text in texts]
        for split, texts in found.select("split", "context").iter_rows()
    }


def build(
    out: Path, raw: Path, quiz_raw: Path, *blocks: dict[str, Any], **card: Any
) -> tuple[Manifest, list[str]]:
    events: list[progress.Event] = []
    manifest = run(out, (toy("films", **card), raw), (quiz(*blocks), quiz_raw), events=events)
    return manifest, messages(events)


def test_without_a_list_they_are_in_train(raw: Path, quiz_raw: Path, tmp_path: Path) -> None:
    manifest, told = build(tmp_path / "set", raw, quiz_raw)
    assert by_split(tmp_path / "set")["train"] == ["a1", "a2", "b1", "b2", "c1", "c2", "d1"]
    assert manifest.sources["films"].blocked == {} and told == []


@pytest.mark.parametrize(
    "block",
    [
        {"keys": ["a1", "d1", "e1", "nobody"]},
        {"patients": ["a", "d", "e", "nobody"]},
        {
            "digests": [
                blake3(blake3(f"The study {key}.".encode()).digest()).hexdigest()
                for key in ("a2", "d1", "e1")
            ]
        },
    ],
)
def test_cases_go_to_test_with_their_group(
    raw: Path, quiz_raw: Path, tmp_path: Path, block: dict[str, Any]
) -> None:
    manifest, (told,) = build(tmp_path / "set", raw, quiz_raw, block)
    assert by_split(tmp_path / "set") == {
        "test": ["a1", "a2", "d1", "e1"],
        "train": ["b1", "b2", "c1", "c2"],
    }
    assert manifest.sources["films"].blocked == {"quiz": 3}
    assert told.startswith("3 units that would be in train go to test: quiz lists their group (")
    assert WHY in told
    # Digests are compared for train only: e1 is not looked at.
    here = {"keys": "3 of its 4", "patients": "3 of its 4", "digests": "2 of its 3"}
    assert here[next(iter(block))] in told
    assert list(find(open_dataset(tmp_path / "set"))) == []


def test_a_digest_is_that_of_the_provenance(raw: Path, quiz_raw: Path, tmp_path: Path) -> None:
    build(tmp_path / "set", raw, quiz_raw)
    frame = open_dataset(tmp_path / "set").records.filter(pl.col("context") == "The study b1.")
    digest = frame.collect()["provenance"][0]["digest"]
    build(tmp_path / "next", raw, quiz_raw, {"digests": [digest]})
    assert by_split(tmp_path / "next")["test"] == ["b1", "b2", "e1"]


def test_cases_are_filtered_and_counted(raw: Path, quiz_raw: Path, tmp_path: Path) -> None:
    manifest, _ = build(tmp_path / "set", raw, quiz_raw, {"keys": ["a1"], "to": "filter"})
    entry = manifest.sources["films"]
    assert (entry.counts.units, entry.counts.filtered, entry.counts.records) == (8, 2, 6)
    assert entry.blocked == {"quiz": 2}
    rows = pl.read_parquet(tmp_path / "set" / "quarantine" / "films.parquet").to_dicts()
    assert [(row["unit"], row["outcome"], row["reason"]) for row in rows] == [
        ("a1", "filtered", "benchmark_case"),
        ("a2", "filtered", "benchmark_case"),
    ]
    assert all(WHY in row["message"] and "quiz" in row["message"] for row in rows)


def test_the_strictest_list_has_its_way(raw: Path, quiz_raw: Path, tmp_path: Path) -> None:
    blocks: list[dict[str, Any]] = [
        {"keys": ["a1", "b1"], "to": "validation"},
        {"keys": ["a2"], "to": "filter"},
        {"patients": ["b"]},
    ]
    build(tmp_path / "set", raw, quiz_raw, *blocks)
    turned = build(tmp_path / "turned", raw, quiz_raw, *reversed(blocks))
    assert by_split(tmp_path / "set") == by_split(tmp_path / "turned")
    assert by_split(tmp_path / "set")["test"] == ["b1", "b2", "e1"]
    assert turned[0].sources["films"].counts.filtered == 2


def test_lists_of_registered_cards_hold_whatever_is_built(
    raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The benchmark need not be part of the build, so its order cannot matter."""
    listed = quiz({"keys": ["a1"]}).card
    monkeypatch.setattr(
        catalogue, "blocking_cards", lambda names: (listed,) if "films" in names else ()
    )
    run(tmp_path / "set", (toy("films"), raw))
    assert by_split(tmp_path / "set")["test"] == ["a1", "a2", "e1"]


def test_a_card_may_list_its_own_cases(raw: Path, tmp_path: Path) -> None:
    films = toy("films", block=[{"source": "films", "keys": ["c1"], "reason": WHY}])
    manifest = run(tmp_path / "set", (films, raw))
    assert manifest.sources["films"].blocked == {"films": 2}


def test_a_list_names_patients_of_a_whole_namespace(tmp_path: Path) -> None:
    block = {"source": "hospital", "patients": ["p3", "p4"], "reason": WHY}
    films, hearts = (toy(slug, keys=keys("hospital")) for slug in ("films", "hearts"))
    raws = [
        raw_tree(tmp_path / slug, [(f"{slug}{n}", f"p{n}", "train") for n in range(9)])
        for slug in ("films", "hearts", "quiz")
    ]
    bench = toy("quiz", role="evaluation", block=[block])
    manifest = run(tmp_path / "set", (films, raws[0]), (hearts, raws[1]), (bench, raws[2]))
    assert [manifest.sources[slug].blocked for slug in ("films", "hearts")] == [{"quiz": 2}] * 2
    assert list(find(open_dataset(tmp_path / "set"))) == []


@pytest.mark.parametrize(
    "block", [{"source": "films", "patients": ["p3"]}, {"source": "hospital", "keys": ["k3"]}]
)
def test_a_list_cannot_move_one_source_of_a_namespace(
    tmp_path: Path, block: dict[str, Any]
) -> None:
    raw = raw_tree(tmp_path / "films", [(f"k{n}", f"p{n}", "train") for n in range(5)])
    films = toy("films", keys=keys("hospital"), block=[block | {"reason": WHY}])
    refused = run(tmp_path / "set", (films, raw)).sources["films"].refused or ""
    assert "moves cases of films alone" in refused and "source: hospital" in refused
    films = toy("films", keys=keys("hospital"), block=[block | {"reason": WHY, "to": "filter"}])
    assert run(tmp_path / "set", (films, raw)).sources["films"].counts.filtered == 1


def test_a_data_set_holds_no_list(raw: Path, quiz_raw: Path, tmp_path: Path) -> None:
    """Raw keys and patients stay with the source: the card as built goes into releases."""
    build(tmp_path / "set", raw, quiz_raw, {"patients": ["a"]})
    assert json.loads((tmp_path / "set" / "cards" / "quiz.json").read_bytes())["block"] == []


def test_a_list_in_a_file_beside_the_card(tmp_path: Path) -> None:
    (tmp_path / "cases.csv").write_text("case,note\na1,x\nd1,\na1,y\n")
    block = {
        "source": "films",
        "reason": WHY,
        "keys": {"file": "cases.csv", "column": "case"},
    }
    path = tmp_path / "card.yaml"
    path.write_text(json.dumps(CONTENT | {"block": [block]}))
    assert load_card(path).block[0].keys == ("a1", "d1")
    before = card_digest(path)
    (tmp_path / "cases.csv").write_text("case,note\na1,x\n")
    assert card_digest(path) != before


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(ValueError, match="names keys, patients or digests"):
        Card.model_validate(CONTENT | {"block": [{"source": "films", "reason": WHY}]})
