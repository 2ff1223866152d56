"""OCR reads what is marked; few letters name nobody."""

from __future__ import annotations

import numpy as np
import pytest

from qoqdata.curation.burned_in import recogniser
from qoqdata.curation.burned_in.looking import look
from qoqdata.curation.burned_in.recogniser import Reading, letters
from tests.curation.burned_in.films import write
from tests.scenes import scene


@pytest.mark.parametrize(
    ("text", "count"),
    [("L", 1), ("AP", 2), ("10", 2), ("L.", 1), ("Lee", 3), ("张伟", 4), ("福", 2), ("- + #", 0)],
)
def test_letters(text: str, count: int) -> None:
    assert letters(text) == count


def engine(monkeypatch: pytest.MonkeyPatch, *lines: Reading) -> list[np.ndarray]:
    """In place of OCR: it reads these lines in every image, which are returned as they come."""
    asked: list[np.ndarray] = []
    monkeypatch.setattr(recogniser, "readings", lambda pixels: asked.append(pixels) or list(lines))
    return asked


def test_only_marked_images_are_read_unless_the_device_is_suspect(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    line = Reading(100, 100, 180, 120, 0.99, 9, False)
    asked = engine(monkeypatch, line)
    assert look(scene(0, 240), suspect=False, ocr=True) == []
    assert asked == []
    (seen,) = look(scene(0, 240), suspect=True, ocr=True)
    assert (*seen[:4], seen.kind, seen.evidence, seen.length) == (*line[:4], "text", "ocr", 9)


def test_a_mark_that_is_read_is_one_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = write(scene(0, 240), "SMITH^JOHN")
    engine(monkeypatch, Reading(5, 2, 180, 40, 0.9, 9, False))
    (seen,) = look(pixels, suspect=False, ocr=True)
    assert seen.evidence == "ocr"


def test_a_certain_mark_stands_though_nothing_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch)
    (seen,) = look(write(scene(0, 240), "SMITH^JOHN"), suspect=False, ocr=True)
    assert (seen.evidence, seen.kind, seen.length) == ("screen", "text", None)


def test_a_letter_that_is_read_is_a_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, Reading(5, 2, 180, 40, 0.9, 1, True))
    (seen,) = look(write(scene(0, 240), "SMITH^JOHN"), suspect=False, ocr=True)
    assert seen.kind == "marker"


@pytest.mark.slow
def test_the_installed_engine_reads(tmp_path) -> None:
    pytest.importorskip("rapidocr")
    pytest.importorskip("onnxruntime")
    (line,) = recogniser.readings(write(scene(0, 240), "SMITH^JOHN"))
    assert line.length in (9, 10) and line.confidence > 0.8
    assert 5 < line.x0 < 20 and 100 < line.x1 < 180
