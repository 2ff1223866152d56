"""Published counts of labels: every card's fit its other counts, and simulated trees are told of
no mapping, however their labels are spread."""

from __future__ import annotations

from pathlib import Path

import pytest

import qoqdata
from qoqdata.curation.audit import PREVALENCE, compare_prevalence
from qoqdata.curation.audit.prevalence import AGREES, CHOSEN, FEW

CARDS = {slug: card for slug, card in qoqdata.cards().items() if card.expected.labels}


def test_these_sources_have_published_counts() -> None:
    assert len(CARDS) >= 13
    assert {card.domain for card in CARDS.values()} >= {"dermoscopy", "fundus", "ecg", "ct"}


@pytest.mark.parametrize("slug", CARDS)
def test_counts_fit_the_card(slug: str) -> None:
    card = CARDS[slug]
    for name, expected in card.expected.labels.items():
        task = card.tasks[name]
        assert set(expected.counts) == set(task.options or ()), name
        asked = expected.questions or sum(expected.counts.values())
        if task.kind == "multi":
            assert max(expected.counts.values()) < asked < sum(expected.counts.values())
        # One task asks once a unit, or once of several parts of it.
        assert card.expected.units is None or asked <= 4 * card.expected.units


@pytest.mark.parametrize("slug", CARDS)
def test_a_simulated_tree_is_told_of_no_mapping(slug: str, tmp_path: Path) -> None:
    qoqdata.simulate(slug, n=60, out=tmp_path / "raw")
    qoqdata.build(slug, raw=tmp_path / "raw", out=tmp_path / "set", workers=0)
    found = compare_prevalence(qoqdata.open(tmp_path / "set"))
    assert dict(found.schema) == PREVALENCE and found.height
    assert set(found["verdict"]) <= {AGREES, CHOSEN, FEW}
