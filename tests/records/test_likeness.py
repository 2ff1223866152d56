"""Likenesses: what changes them, and what does not."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest
from scipy.fft import dctn
from scipy.signal import resample_poly

from qoqdata.records.content import Ecg
from qoqdata.records.likeness import (
    THUMBNAIL,
    WAYS,
    Likeness,
    image_likeness,
    image_sight,
    likenesses,
    signal_likeness,
    turned,
)
from qoqdata.simulation import drawing
from tests.scenes import scene

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


def encoded(pixels: np.ndarray, quality: int) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)


def halved(pixels: np.ndarray) -> np.ndarray:
    return cv2.resize(pixels, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def apart(one: Likeness, other: Likeness) -> int:
    assert one.bits is not None and other.bits is not None
    return (one.bits ^ other.bits).bit_count()


CHANGES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "encoded again": lambda one: encoded(one, 60),
    "half the size": halved,
    "brighter": lambda one: np.clip(one * 1.1 + 8, 0, 255).astype(np.uint8),
    "another gamma": lambda one: (255 * (one / 255) ** 0.85).astype(np.uint8),
    "flipped": lambda one: one[:, ::-1],
    "turned": lambda one: np.rot90(one),
    "flipped and turned": lambda one: np.rot90(one[::-1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_has_close_bits(change: str) -> None:
    for seed in range(8):
        one = scene(seed)
        other = np.ascontiguousarray(CHANGES[change](one))
        assert apart(image_likeness(one), image_likeness(other)) <= 6


def test_other_images_are_far() -> None:
    found = [image_likeness(scene(seed)) for seed in range(60)]
    distances = [apart(one, other) for n, one in enumerate(found) for other in found[:n]]
    assert len(distances) == 60 * 59 // 2
    assert min(distances) > 6


@pytest.mark.parametrize("way", range(8))
def test_the_small_image_tells_the_way(way: int) -> None:
    one = scene(3)
    other = np.ascontiguousarray(turned(one[..., 0])[way])
    small, lying = (
        np.frombuffer(image_likeness(pixels).thumbnail, np.uint8).reshape(THUMBNAIL, THUMBNAIL)
        for pixels in (one[..., 0], other)
    )
    np.testing.assert_array_equal(turned(small)[way], lying)
    assert len(WAYS) == 8


def test_turns_are_counted_counter_clockwise_and_flips_come_after() -> None:
    corner = np.array([[1, 0], [0, 0]], np.uint8)
    lying = dict(zip(WAYS, turned(corner).tolist(), strict=True))
    assert lying["turned 90"] == [[0, 0], [1, 0]]
    assert lying["flipped"] == [[0, 1], [0, 0]]
    assert lying["turned 90 and flipped"] == [[0, 0], [0, 1]]


def test_equal_pixels_have_one_digest_whatever_holds_them() -> None:
    grey = scene(1)[..., 0]
    colour = np.repeat(grey[..., None], 3, axis=2)
    digest = image_likeness(grey).digest
    assert image_likeness(colour).digest == digest
    assert image_likeness(np.asfortranarray(grey)).digest == digest
    assert image_likeness(grey.reshape(80, -1)).digest != digest
    tinted = colour.copy()
    tinted[3, 5, 2] ^= 1
    assert image_likeness(tinted).digest != digest
    assert image_likeness(grey, b"a").digest == image_likeness(colour, b"a").digest != digest


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_uniform_image_has_no_bits(level: int) -> None:
    found = image_likeness(np.full((50, 70, 3), level, np.uint8))
    assert found.bits is None
    assert (found.deviation, found.dark, found.bright) == (0, level == 0, level == 255)


def test_shares_and_deviation_by_hand() -> None:
    half = np.zeros((40, 40), np.uint8)
    half[:, :10], half[:, 30:] = 255, 100
    found = image_likeness(half)
    assert found.dark == 0.5
    assert found.bright == 0.25
    assert found.deviation == pytest.approx(half.std(), rel=1e-5)


def averaged(pixels: np.ndarray, side: int) -> np.ndarray:
    """Area averages (side, side) by their definition: each pixel counts as far as it is covered."""
    covers = []
    for length in pixels.shape:
        edges = np.linspace(0, length, side + 1)
        places = np.arange(length)
        low, high = np.maximum(edges[:-1, None], places), np.minimum(edges[1:, None], places + 1)
        covers.append(np.clip(high - low, 0, None) * side / length)
    down, across = covers
    return down @ pixels.astype(np.float64) @ across.T


@pytest.mark.parametrize("shape", [(640, 512), (1021, 777), (300, 2048), (255, 90), (16, 16)])
def test_large_images_are_halved_to_what_averaging_at_once_gives(shape: tuple[int, int]) -> None:
    pixels = cv2.resize(scene(5)[..., 0], shape[::-1], interpolation=cv2.INTER_LINEAR)
    found = image_likeness(pixels)
    # What halving rounds, and rows and columns that it leaves out: grey levels of 255.
    small = np.frombuffer(found.thumbnail, np.uint8).reshape(THUMBNAIL, THUMBNAIL)
    assert np.abs(small - averaged(pixels, THUMBNAIL)).mean() <= 2
    grey = averaged(pixels, 32)
    magnitudes = np.abs(dctn(grey, norm="ortho"))[:11, :11]
    low = (magnitudes + magnitudes.T)[np.triu_indices(11)][1:65]
    bits = int.from_bytes(np.packbits(low > np.median(low)).tobytes(), "big")
    assert found.bits is not None
    assert (found.bits ^ bits).bit_count() <= 4
    assert found.dark == pytest.approx((pixels == 0).mean())
    assert found.bright == pytest.approx((pixels == 255).mean())


def recording(seed: int) -> Ecg:
    signal = drawing.ecg(np.random.default_rng(seed), 500, 10, LEADS)
    signal = np.asarray(signal, np.float32).reshape(12, -1)
    return Ecg(LEADS, 500, signal, np.ones(signal.shape, bool))


def changed(ecg: Ecg, signal: np.ndarray, fs: float = 500) -> Ecg:
    signal = np.ascontiguousarray(signal, np.float32)
    return Ecg(ecg.leads, fs, signal, np.ones(signal.shape, bool))


def test_a_recording_is_known_at_another_rate_gain_offset_and_order_of_leads() -> None:
    rng = np.random.default_rng(0)
    for seed in range(4):
        one = recording(seed)
        copies = (
            changed(one, resample_poly(one.signal, 1, 2, axis=1), 250),
            changed(one, one.signal * -2.5),
            changed(one, one.signal + rng.normal(size=(12, 1))),
            changed(one, one.signal[rng.permutation(12)]),
        )
        first = signal_likeness(one)
        for copy in copies:
            assert apart(first, signal_likeness(copy)) <= 6
            assert signal_likeness(copy).digest != first.digest


def test_samples_that_are_not_valid_do_not_count() -> None:
    one = recording(1)
    broken = one.signal.copy()
    broken[2, 100:140], broken[5, :20] = 900.0, np.nan
    valid = np.ones(broken.shape, bool)
    valid[2, 100:140] = valid[5, :20] = False
    first, second = signal_likeness(one), signal_likeness(Ecg(LEADS, 500, broken, valid))
    assert apart(first, second) <= 6
    assert second.deviation == pytest.approx(first.deviation, rel=0.05)


def test_a_flat_recording_has_no_bits() -> None:
    flat = signal_likeness(changed(recording(1), np.full((12, 5000), 0.3)))
    assert flat.bits is None
    assert flat.deviation == pytest.approx(0, abs=1e-6)
    assert flat.dark == flat.bright == 1


def test_clipped_samples_are_counted() -> None:
    signal = np.tile(np.linspace(-1, 1, 1000, dtype=np.float32), (2, 1)).clip(-1, 0.5)
    found = signal_likeness(Ecg(("I", "II"), 100, signal, np.ones(signal.shape, bool)))
    assert found.bright == pytest.approx(0.25, abs=0.001)
    assert found.dark == pytest.approx(0.001)


def test_the_small_image_is_of_means_by_hand() -> None:
    small = np.random.default_rng(5).integers(0, 256, (32, 32), np.uint8)
    expected = [
        round(float(np.mean(small[row : row + 2, column : column + 2])))
        for row in range(0, 32, 2)
        for column in range(0, 32, 2)
    ]
    assert list(image_likeness(small).thumbnail) == expected


def test_many_at_once_are_as_each_alone() -> None:
    """Signals among images, in their order; one image tells nothing, and has no bits."""
    images = [scene(seed) for seed in range(20)] + [np.full((40, 50), 9, np.uint8)]
    alone = [image_likeness(one) for one in images]
    signal = signal_likeness(recording(1))
    seen = [image_sight(one) for one in images]
    assert likenesses([*seen[:7], signal, *seen[7:]]) == [*alone[:7], signal, *alone[7:]]
    assert alone[-1].bits is None and likenesses([signal]) == [signal] and likenesses([]) == []


@pytest.mark.parametrize(("step", "telling"), [(4, True), (3, False)])
def test_what_is_uniform_is_so_below_a_deviation_of_two_levels(step: int, telling: bool) -> None:
    """Half of the pixels are `step` above the others: the deviation is half of it, exactly."""
    pixels = np.full((32, 32), 100, np.uint8)
    pixels[::2] += step
    assert (image_likeness(pixels).bits is not None) == telling
