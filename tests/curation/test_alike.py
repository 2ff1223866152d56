"""Correlations of many pairs at once are those of one pair after the other."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from qoqdata.curation import alike as module
from qoqdata.curation import details
from qoqdata.curation.alike import alike, contents
from qoqdata.curation.likenesses import likenesses, thumbnails
from qoqdata.records.likeness import WAYS, turned
from tests.curation.films import in_train
from tests.scenes import scene


def test_a_pair_correlates_as_its_two_images_do() -> None:
    rng = np.random.default_rng(3)
    small = rng.integers(0, 256, (9, 16, 16), np.uint8)
    pairs = np.array(list(combinations(range(9), 2)))
    given = module._correlations(
        *pairs.T, module.unit_rows(small.reshape(9, -1)), module.every_turn(16)
    )
    for values, (one, other) in zip(given, pairs, strict=True):
        expected = [
            np.corrcoef(small[one].ravel(), view.ravel())[0, 1] for view in turned(small[other])
        ]
        np.testing.assert_allclose(values, expected, atol=2e-5)


def test_blocks_hold_every_pair_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    monkeypatch.setattr(module, "AT_ONCE", 7)
    mine, theirs = rng.integers(0, 300, (2, 500))
    blocks = list(module._blocks(mine, theirs))
    assert sorted(np.concatenate(blocks).tolist()) == list(range(500))
    for block in blocks:
        assert len(block) <= 7
    first = np.concatenate(blocks)
    assert (np.diff(mine[first] // 64) >= 0).all()
    assert list(module._blocks(mine[:0], theirs[:0])) == []


@pytest.mark.parametrize("kept", [1, 16_384])
def test_each_way_to_lie_is_told_whatever_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    monkeypatch.setattr(details, "_KEPT", kept)
    monkeypatch.setattr(module, "AT_ONCE", 3)
    views = np.repeat(turned(scene(1)[..., 0])[..., None], 3, axis=-1)
    films = {f"a{number}.png": view for number, view in enumerate(views)}
    dataset = in_train(tmp_path, films | {"a9.png": scene(2)})
    distinct = contents(likenesses(dataset))
    pairs, crowded = alike(dataset, distinct, radius=6, detail=0.85)
    assert not len(crowded)
    assert pairs.height == 28
    assert pairs["correlation"].min() > 0.99
    small = thumbnails(dataset, distinct).reshape(-1, 16, 16).astype(int)
    for content, other, way in pairs.select("content", "other", "way").iter_rows():
        assert np.abs(turned(small[other])[WAYS.index(way)] - small[content]).max() <= 2
    first = pairs.filter(content=pairs["content"].min())
    assert set(first["way"]) == set(WAYS) - {"upright"}
