"""Images and notes of a clip, from frames at hand."""

from __future__ import annotations

import numpy as np

from qoqdata.readers.video import Clip, FramePolicy
from qoqdata.records.images import clip_images, clip_notes

GREY = np.repeat(np.arange(24, dtype=np.uint8).reshape(4, 6, 1), 3, axis=2)
COLOUR = GREY.copy()
COLOUR[0, 0] = (200, 10, 10)


def clip(fps: float | None = 25.0) -> Clip:
    return Clip(np.stack([GREY, COLOUR]), (3, 8), 12, fps, None, ("count mended",), None)


def test_one_image_a_frame_in_time_order() -> None:
    first, second = clip_images(clip(), view="parasternal")
    assert (first.index, second.index) == (3, 8)
    assert first.view == second.view == "parasternal"
    assert (first.width, first.height, first.original_width) == (6, 4, None)


def test_grey_frames_are_stored_as_grey_and_colour_as_colour() -> None:
    first, second = clip_images(clip())
    assert np.array_equal(first.pixels, GREY[..., 0])
    assert np.array_equal(second.pixels, COLOUR)


def test_one_coloured_channel_is_colour() -> None:
    frame = GREY.copy()
    frame[2, 2, 2] += 1
    (image,) = clip_images(Clip(frame[None], (0,), 1, None, None, (), None))
    assert np.array_equal(image.pixels, frame)


def test_notes_say_how_frames_were_chosen() -> None:
    policy = FramePolicy("uniform", count=2)
    said = "frames: centres of 2 equal parts of 12"
    assert clip_notes(clip(), policy) == (f"{said} at 25 frames/s", "count mended")
    assert clip_notes(clip(None), policy)[0] == f"{said} at unknown rate"
