"""Drawn pixels and signals: their types, their ranges, and the laws of the limb leads."""

from __future__ import annotations

import numpy as np

from qoqdata.simulation import blob, ecg, film, photograph, scan


def test_films_use_their_bits() -> None:
    rng = np.random.default_rng(0)
    for bits, kind in ((8, np.uint8), (12, np.uint16), (16, np.uint16)):
        picture = film(rng, (40, 30), bits=bits)
        assert picture.shape == (40, 30) and picture.dtype == kind
        assert (picture.min(), picture.max()) == (0, 2**bits - 1)


def test_no_two_pictures_are_alike() -> None:
    rng = np.random.default_rng(0)
    for draw in (film, photograph):
        first, second = (draw(rng, (40, 30)).astype(float) for _ in range(2))
        assert abs(first - second).mean() > 5
    assert photograph(rng, (40, 30)).shape == (40, 30, 3)


def test_scans_have_air_and_tissue() -> None:
    voxels = scan(np.random.default_rng(0), (40, 30, 5))
    assert voxels.shape == (40, 30, 5) and voxels.dtype == np.int16
    assert np.median(voxels[0]) < -900 and abs(np.median(voxels[20, 15])) < 300


def test_blobs_lie_inside() -> None:
    for seed in range(50):
        mask = blob(np.random.default_rng(seed), (12, 40))
        rows, columns = np.nonzero(mask)
        assert rows.max() - rows.min() >= 1 and columns.max() - columns.min() >= 1
        assert rows.min() > 0 and rows.max() < 11 and columns.min() > 0 and columns.max() < 39


def test_limb_leads_obey_einthoven() -> None:
    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1")
    signal = ecg(np.random.default_rng(0), 200, 5, leads)
    one, two, three, right, left, foot, chest = signal
    assert signal.shape == (7, 1000) and 0.3 < signal.max() < 4
    np.testing.assert_allclose(three, two - one, atol=1e-9)
    np.testing.assert_allclose(right, -(one + two) / 2, atol=1e-9)
    np.testing.assert_allclose(left, one - two / 2, atol=1e-9)
    np.testing.assert_allclose(foot, two - one / 2, atol=1e-9)
    assert abs(chest - two).max() > 0.1


def test_a_lead_is_the_sum_of_its_waves() -> None:
    """The sum over beats and waves, written out: two seconds at 250 Hz, all of it random."""
    signal = ecg(np.random.default_rng(3), 250, 2, ["V1"])[0]
    rng = np.random.default_rng(3)
    times = np.arange(500) / 250
    starts = np.arange(rng.uniform(0, 0.5), 3, 60 / rng.uniform(50, 110))
    for lead in range(3):  # I and II are drawn whether or not they are asked for
        wander = 0.05 * np.sin(2 * np.pi * (0.3 * times + rng.uniform()))
        expected = wander + 0.01 * rng.standard_normal(500)
        scale = rng.uniform(0.5, 1.3)
        waves = [(-0.16, 0.025, 0.12), (-0.02, 0.008, -0.1), (0, 0.011, 1.0), (0.025, 0.009, -0.2)]
        for place, width, height in [*waves, (0.26, 0.05, 0.3)]:
            size = height * scale * rng.uniform(0.8, 1.2)
            for start in starts:
                expected += size * np.exp(-(((times - start - place) / width) ** 2) / 2)
        assert lead < 2 or np.allclose(signal, expected, rtol=0, atol=1e-12)
