"""Results by concept, counted by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from qoqdata.concepts import ConceptTable, read_concepts
from qoqtrain.evaluate.concepts import ConceptCounts, LabelCounts, by_concept


@pytest.fixture
def table(tmp_path: Path) -> ConceptTable:
    """A and B of films and P of scans are malignant; C and Q have no concept."""
    path = tmp_path / "own.csv"
    path.write_text(
        "source,label,concept,system,code\n"
        "films,A,Malignant,SNOMED CT,363346000\n"
        "films,B,Malignant,SNOMED CT,363346000\n"
        "scans,P,Malignant,SNOMED CT,363346000\n"
    )
    return read_concepts(path)


def test_counts_by_hand(outcome: Callable, table: ConceptTable) -> None:
    films = {"options": ("A", "B", "C")}
    scans = {"source": "scans", "domain": "ct", "kind": "multi", "options": ("P", "Q")}
    outcomes = [
        # Named B where A is right: wrong of the label, right of the concept.
        outcome("1", **films, truth=("A",), labels=("B",)),
        outcome("2", **films, truth=("A",), labels=("C",)),
        outcome("3", **films, truth=("C",), labels=("A",)),
        outcome("4", **films, truth=("C",), labels=("C",)),
        # Nothing was read: a miss where it is true, no true negative where it is not.
        outcome("5", **films, truth=("B",), labels=None, status="missing"),
        outcome("6", **films, truth=("C",), labels=(), status="no_answer"),
        outcome("7", **scans, truth=("P", "Q"), labels=("P",)),
        outcome("8", **scans, truth=("Q",), labels=("Q",)),
        # Questions without options, and texts of a choice, are about no label.
        outcome("9", kind="open", options=None, truth=None, labels=None),
        outcome("10", kind="choice", options=("A, or B", "C"), truth=("C",), labels=("C",)),
    ]
    results = by_concept(outcomes, table)
    assert (results.table, results.digest) == ("own", table.digest)
    (malignant,) = results.concepts
    assert (malignant.concept, malignant.code) == ("Malignant", "363346000")
    # films: 1 hit, 2 misses, 1 false alarm, 1 true negative, 1 void.
    assert malignant.sources["films"] == ConceptCounts(6, 3, 2, 1 / 2, 1 / 3, 1 / 3, 2 / 5)
    assert malignant.sources["scans"] == ConceptCounts(2, 1, 1, 1.0, 1.0, 1.0, 1.0)
    pooled = malignant.pooled
    assert (pooled.records, pooled.support, pooled.answered) == (8, 4, 3)
    assert pooled.precision == pytest.approx(2 / 3) and pooled.recall == 1 / 2
    assert pooled.specificity == 2 / 4 and pooled.f1 == pytest.approx(4 / 7)
    assert results.without_concept == (
        LabelCounts("films", "C", 6, 3, 2),
        LabelCounts("scans", "Q", 2, 2, 1),
    )
    assert by_concept(outcomes[::-1], table) == results
    json.dumps(asdict(results), allow_nan=False)


def test_undefined_rates_are_none(outcome: Callable, table: ConceptTable) -> None:
    (one,) = by_concept([outcome("1", truth=("A",), labels=("A",))], table).concepts
    assert one.pooled.specificity is None and one.pooled.recall == 1
