"""What is no single plain image is refused: several pages, CMYK, floats, other files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from qoqdata.errors import MissingFile, QoqdataError, UnreadableFile, UnsupportedFormat, UsageError
from qoqdata.readers.image import reader
from tests.readers import encoded_images as made
from tests.readers.image_files import read_back


def _two_pages(kind: str) -> bytes:
    pages = [Image.fromarray(made.noise((9, 9, 3), seed=seed)) for seed in (1, 2)]
    return made.saved(pages[0], kind, save_all=True, append_images=pages[1:])


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "PNG"])
def test_several_images_are_refused(tmp_path: Path, kind: str) -> None:
    with pytest.raises(UnsupportedFormat):
        read_back(tmp_path, _two_pages(kind))


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_refused(tmp_path: Path, kind: str) -> None:
    image = Image.fromarray(made.noise((16, 16, 4)), mode="CMYK")
    with pytest.raises(UnsupportedFormat):
        read_back(tmp_path, made.saved(image, kind))


def test_float_and_signed_tiff_are_refused(tmp_path: Path) -> None:
    for pixels in (np.zeros((4, 4), np.float32), np.zeros((4, 4), np.int32)):
        with pytest.raises(UnsupportedFormat):
            read_back(tmp_path, made.saved(Image.fromarray(pixels), "TIFF"))


def test_twelve_bit_jpeg_is_refused(tmp_path: Path) -> None:
    data = bytearray(made.saved(made.smooth(), "JPEG"))
    frame = data.index(b"\xff\xc0")
    data[frame + 4] = 12
    with pytest.raises(UnsupportedFormat, match="12 bits"):
        read_back(tmp_path, bytes(data))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", UnreadableFile),
        (b"<!DOCTYPE html><html>Not found</html>", UnreadableFile),
        (b"#EXTM3U\nhttp://127.0.0.1/x", UnreadableFile),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", UnreadableFile),
        (b"%!PS-Adobe-3.0 EPSF-3.0", UnreadableFile),
        (b"\0\0\0\x1cftypheic" + bytes(40), UnsupportedFormat),
    ],
)
def test_what_is_no_image(tmp_path: Path, data: bytes, error: type[QoqdataError]) -> None:
    with pytest.raises(error):
        read_back(tmp_path, data, "scan.png")


def test_missing_file_and_directory(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        reader.read_image(tmp_path / "absent.png")
    with pytest.raises(UnreadableFile):
        reader.read_image(tmp_path)


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile) as caught:
        read_back(tmp_path, made.png(made.noise((4, 4)), 0, 8)[:-5], "a.png")
    assert caught.value.where == str(tmp_path / "a.png")


def test_pillow_told_to_accept_cut_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    with pytest.raises(UsageError, match="LOAD_TRUNCATED"):
        read_back(tmp_path, made.png(made.noise((4, 4)), 0, 8))
