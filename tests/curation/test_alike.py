"""Correlations of many pairs at once are those of one pair after the other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from qoqdata.curation import alike as module
from qoqdata.curation import details
from qoqdata.curation.alike import alike, contents
from qoqdata.curation.likenesses import likenesses, thumbnails
from qoqdata.curation.proof import proof_text, prove
from qoqdata.curation.recipe import CurationRecipe
from qoqdata.curation.verdicts import curate
from qoqdata.items import read_records
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


def test_each_way_to_lie_is_told_and_each_image_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def reading(*args: Any, **settings: Any) -> Iterator[dict[str, Any]]:
        for row in read_records(*args, **settings):
            read.append(row["id"])
            yield row

    monkeypatch.setattr(details.items, "read_records", reading)
    monkeypatch.setattr(module, "AT_ONCE", 3)
    monkeypatch.setattr(module, "_DETAILED", 3)
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
    # All but the last, which is like none; once for details, and no crops are left to look for.
    assert len(read) == len(set(read)) == 8


@pytest.mark.parametrize("bound", ["_NEAREST", "_LIKEST"])
def test_who_was_not_compared_with_all_is_in_the_receipt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(module, bound, 1)
    views = np.repeat(turned(scene(1)[..., 0])[..., None], 3, axis=-1)
    films = {f"a{number}.png": view for number, view in enumerate(views)}
    dataset = in_train(tmp_path, films | {"a9.png": scene(2)})
    receipt = curate(dataset, CurationRecipe()).likeness
    assert receipt.pairs < 28
    # Views that lost a pair, and what agrees with them in some of its bits.
    assert set(receipt.crowded) == {"films"}
    assert 7 <= receipt.crowded["films"] <= 9
    assert (receipt.images, receipt.signals) == (9, 0)
    written = json.loads((dataset.root / "curation" / "likeness.json").read_text())
    assert written == receipt.model_dump()
    told = f"{receipt.crowded['films']} images or signals of films look like"
    assert told in proof_text(prove(dataset))


def test_no_way_to_lie_correlates_by_more_than_the_bound() -> None:
    rng = np.random.default_rng(5)
    smooth = rng.normal(0, 1, (40, 9)) @ rng.normal(0, 1, (9, 256))
    small = np.clip(128 + 12 * smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    units = module.unit_rows(small)
    mine, theirs = np.array(list(combinations(range(40), 2))).T
    bound = module._bound(mine, theirs, module.whichever_way(module.low_frequencies(units)))
    best = module._correlations(mine, theirs, units, module.every_turn(16)).max(axis=1)
    assert (bound >= best).all()
    assert (bound < 0.95).any()
    closer = module.bound_by_way(mine, theirs, module.low_frequencies(units))
    assert (closer >= best).all()
    assert (closer <= bound + 1e-3).all()
    views = module.unit_rows(turned(small[0].reshape(16, 16)).reshape(8, -1))
    energies = module.whichever_way(module.low_frequencies(views))
    np.testing.assert_allclose(energies, np.tile(energies[0], (8, 1)), atol=1e-5)


def test_of_smooth_images_the_bound_is_what_they_correlate_by() -> None:
    rng = np.random.default_rng(7)
    coarse = rng.normal(0, 1, (40, 3, 3))
    small = np.stack([cv2.resize(one, (16, 16), interpolation=cv2.INTER_CUBIC) for one in coarse])
    units = module.unit_rows(np.clip(128 + 40 * small.reshape(40, -1), 0, 255).astype(np.uint8))
    mine, theirs = np.array(list(combinations(range(40), 2))).T
    bound = module.bound_by_way(mine, theirs, module.low_frequencies(units))
    best = module._correlations(mine, theirs, units, module.every_turn(16)).max(axis=1)
    assert (bound >= best).all()
    np.testing.assert_allclose(bound, best, atol=0.06)


def test_no_curves_correlate_by_more_than_the_bound() -> None:
    rng = np.random.default_rng(6)
    smooth = rng.normal(0, 1, (60, 9)) @ rng.normal(0, 1, (9, 256))
    small = np.clip(128 + 12 * smooth + rng.normal(0, 4, smooth.shape), 0, 255).astype(np.uint8)
    mine, theirs = np.array(list(combinations(range(60), 2))).T
    directions = module._directions(small)
    units = module.unit_rows(small)
    bound = module._bound(mine, theirs, module._along(units, directions))
    found = np.einsum("pv,pv->p", units[mine], units[theirs])
    assert (bound >= found).all()
    # Most of what curves differ by lies along the directions.
    assert np.quantile(bound - found, 0.9) < 0.1


def test_few_pairs_and_many_correlate_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    units = module.unit_rows(rng.integers(0, 256, (30, 256), np.uint8))
    mine, theirs = rng.integers(0, 30, (2, 50))
    given = []
    for sparse in (0, 10_000):
        monkeypatch.setattr(module, "_SPARSE", sparse)
        given.append(module._correlations(mine, theirs, units, module.every_turn(16)))
    np.testing.assert_allclose(given[0], given[1], atol=2e-5)


def test_a_window_a_flip_and_a_turn_leave_an_image_in_its_place_in_a_crowd() -> None:
    scenes = np.stack([cv2.resize(scene(n)[..., 0], (16, 16)) for n in range(30)])
    views = turned(scenes[0]).reshape(8, -1)
    np.testing.assert_allclose(module._stripes(views), module._stripes(views)[0], rtol=1e-12)
    # By hand: two stripes across and none down have all of their energy there.
    wave = np.cos(2 * np.pi * (np.arange(16) + 0.5) / 16)
    striped = np.rint(128 + 100 * np.tile(wave, (16, 1))).astype(np.uint8).reshape(1, -1)
    assert module._stripes(striped)[0] == pytest.approx(1, rel=1e-3)
    small = scenes.reshape(30, -1)
    windowed = np.clip((small.astype(np.float32) - 40) * 255 / 170, 0, 255).astype(np.uint8)

    def moved(measure: Callable[[np.ndarray], np.ndarray]) -> float:
        before = measure(small)
        return float(np.median(np.abs(measure(windowed) - before)) / before.std())

    assert moved(module._stripes) < 0.2 < moved(module._contrasts)
