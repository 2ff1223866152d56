"""The proof counts again what two splits share, and believes nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import qoqdata as library
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.curation.proof import SHARED, Proof, _by_key
from tests.cli.conftest import qoqdata  # noqa: F401
from tests.curation.films import built, in_train, leaky_set
from tests.scenes import scene


def shared(proof: Proof) -> dict[tuple[str, str, str], int]:
    return {
        tuple(row[:3]): row[3]
        for row in proof.shared.select("key", "split", "other_split", "shared").iter_rows()
    }


def test_a_leaky_set_fails_and_a_curated_one_holds(tmp_path: Path) -> None:
    dataset = leaky_set(tmp_path)
    before = library.prove(dataset)
    assert not before.holds
    found = shared(before)
    # The small copy, the JPEG and the brighter one are alike; blank films are like nothing.
    for pair in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert found["records that show the same", *pair] == 1
        assert found["patients", *pair] == found["studies", *pair] == 0
    library.curate(dataset)
    after = library.prove(dataset.root)
    assert after.holds
    assert set(after.dropped.iter_rows()) == {
        ("leakage", "train", 2),
        ("leakage", "validation", 1),
        ("quality", "train", 1),
        ("quality", "test", 1),
    }
    assert after.records["records"].sum() == 4


def test_distinct_and_shared_patients_by_hand() -> None:
    kept = pl.DataFrame(
        {
            "patient": ["p1", "p1", "p2", None, "p2", "p3", None],
            "study": ["s1", "s2", "s3", "s4", "s5", "s6", "s4"],
            "side": ["train", "train", "train", "train", "test", "test", "validation"],
        }
    )
    rows = pl.DataFrame(list(_by_key(kept)), schema=SHARED, orient="row")
    found = {tuple(row[:3]): tuple(row[3:]) for row in rows.iter_rows()}
    assert found["patients", "train", "test"] == (2, 2, 1, "p2")
    assert found["patients", "train", "validation"] == (2, 0, 0, None)
    assert found["studies", "train", "validation"] == (4, 1, 1, "s4")
    assert found["studies", "train", "test"] == (4, 2, 0, None)


def test_the_command_writes_the_appendix_and_exits_by_what_it_found(
    tmp_path: Path,
    qoqdata: Callable,  # noqa: F811
) -> None:
    leaky = leaky_set(tmp_path)
    code, out, _ = qoqdata("prove", leaky.root, "--out", tmp_path / "appendix.md")
    assert code == 1
    assert "two splits share something" in out
    text = (tmp_path / "appendix.md").read_text()
    assert "**Two splits share**" in text and leaky.manifest.digest in text
    code, out, _ = qoqdata("prove", leaky.root, "--json")
    assert code == 1 and json.loads(out)["holds"] is False


def test_a_set_of_one_split_holds(tmp_path: Path, qoqdata: Callable) -> None:  # noqa: F811
    dataset = in_train(tmp_path, {"a1.png": scene(1), "b2.png": scene(2)})
    code, out, _ = qoqdata("prove", dataset.root)
    assert code == 0
    assert "no two splits share" in out


def test_a_proof_without_examples_has_no_column_of_them(
    tmp_path: Path,
    qoqdata: Callable,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At 80 columns it is a table."""
    dataset = built(tmp_path, [(f"{s}.png", s, "a", scene(n)) for n, s in enumerate(SPLITS)])
    monkeypatch.setattr("qoqdata.console.out._width", 80)
    _, out, _ = qoqdata("prove", dataset.root)
    assert "example" not in out and "\npatients " in out
    assert all(len(line) <= 80 for line in out.splitlines())
