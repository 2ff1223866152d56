"""Frozen features: what they depend on, and what they do not."""

from __future__ import annotations

import numpy as np
import pytest

from qoqdata.readers.ecg.leads import TWELVE
from qoqdata.statistics.probe import features


def image(seed: int = 0, side: int = 96) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:side, :side]
    wave = 90 + 60 * np.sin(rows / 7)[..., None] + 0 * columns[..., None]
    return np.clip(wave + rng.normal(0, 4, (side, side, 3)), 0, 255).astype(np.uint8)


def ecg(leads: tuple[str, ...] = TWELVE, *, hertz: float = 5.0, samples: int = 2500) -> dict:
    time = np.arange(samples) / 250
    signal = np.stack([(n + 1) * np.sin(2 * np.pi * hertz * time) for n in range(len(leads))])
    valid = np.ones(signal.shape, bool)
    return {"leads": leads, "fs": 250.0, "signal": signal.astype(np.float32), "valid": valid}


def test_a_record_has_a_place_for_everything():
    found = features.of_record({"images": [image()], "ecg": ecg(), "context": "An old man."})
    assert found.dtype == np.float32
    assert found.shape == (features.IMAGE + features.ECG + features.TEXT,)
    assert np.isfinite(found).all()
    nothing = features.of_record({"images": None, "ecg": None, "context": None})
    assert not nothing.any()


def test_images_of_a_record_are_averaged():
    one, other = image(1), 255 - image(2)
    both = features.of_record({"images": [one, other]})[: features.IMAGE]
    mean = (features.of_image(one) + features.of_image(other)) / 2
    np.testing.assert_allclose(both, mean, rtol=1e-6)


def test_edges_have_the_direction_they_run_in():
    """Stripes that change down the image, and the same turned by a quarter."""
    down = features.of_image(image())
    across = features.of_image(np.ascontiguousarray(image().transpose(1, 0, 2)))
    gradients = slice(features.IMAGE - 512, None)
    by_angle = [found[gradients].reshape(64, 8).sum(axis=0) for found in (down, across)]
    assert by_angle[0].argmax() == 4  # pi / 2 of the eight parts of pi
    assert by_angle[1].argmax() in (0, 7)


def test_a_grey_image_and_its_negative_differ_and_twins_do_not():
    grey = np.repeat(image()[..., :1], 3, axis=2)
    np.testing.assert_array_equal(features.of_image(grey), features.of_image(grey.copy()))
    assert np.abs(features.of_image(grey) - features.of_image(255 - grey)).max() > 0.1


def test_leads_count_by_name_wherever_they_stand():
    straight, turned = ecg(), ecg()
    turned = {name: turned[name] for name in turned} | {
        "leads": TWELVE[::-1],
        "signal": straight["signal"][::-1],
        "valid": straight["valid"][::-1],
    }
    np.testing.assert_array_equal(features.of_ecg(straight), features.of_ecg(turned))
    limb = features.of_ecg(ecg(TWELVE[:6])).reshape(12, -1)
    assert limb[:6].any(axis=1).all() and not limb[6:].any()
    assert not features.of_ecg(ecg(("X", "Y"))).any()


def test_unusable_stretches_are_not_looked_at():
    one, other = ecg(), ecg()
    for made in (one, other):
        made["valid"][:, 500:900] = False
    other["signal"][:, 500:900] = 40.0
    np.testing.assert_allclose(features.of_ecg(one), features.of_ecg(other), rtol=1e-6)
    one["valid"][:] = False
    assert not features.of_ecg(one).any()


@pytest.mark.parametrize(("hertz", "band"), [(1.0, 2), (5.0, 8), (30.0, 14)])
def test_a_rhythm_is_in_its_band(hertz, band):
    """0.5 to 40 Hz in 16 bands of equal ratio: log(hertz / 0.5) / log(80) * 16, rounded down."""
    found = features.of_ecg(ecg(hertz=hertz)).reshape(12, -1)
    assert found[0, :16].argmax() == band


def test_words_count_in_any_order():
    one = features.of_text("Fever and cough, cough")
    assert one.tolist() == features.of_text("cough COUGH and fever.").tolist()
    assert one.max() == pytest.approx(np.log(3))
    assert not features.of_text("").any()
