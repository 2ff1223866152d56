"""Damaged volumes and masks inside of containers: refused as the files themselves, never taken."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from qoqdata.errors import InputError, TooLarge, UnreadableFile
from qoqdata.readers import masks
from qoqdata.readers.limits import Limits
from qoqdata.readers.volume import label_volume, read_volume
from qoqdata.sources.rawtree import open_raw
from tests.readers.container_files import FORMATS, LIBRARIES

SHAPE = (6, 5, 4)
CODES = {1: "a", 2: "b"}
DRAWN = (np.arange(np.prod(SHAPE)) % 3).astype(np.uint8).reshape(SHAPE)


def nifti() -> bytes:
    return nib.Nifti1Image(DRAWN, np.diag([0.7, 0.7, 2, 1])).to_bytes()


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(DRAWN[:, :, 1]).save(stream, "PNG")
    return stream.getvalue()


def with_sides(data: bytes, *sides: int) -> bytes:
    """The header's dim[] replaced: number of axes, then sides."""
    header = nib.Nifti1Header(data[:348], check=False)
    header["dim"] = [len(sides), *sides, *[1] * (7 - len(sides))]
    return header.binaryblock + data[348:]


#: What is wrong with a volume, and the bytes of it.
DAMAGES: dict[str, Callable[[], bytes]] = {
    "gzip cut": lambda: gzip.compress(nifti())[:-20],
    "gzip checksum": lambda: gzip.compress(nifti())[:-8] + bytes(8),
    "gzip with a foreign tail": lambda: gzip.compress(nifti()) + b"tail",
    "a slice more than there is": lambda: gzip.compress(with_sides(nifti(), 6, 5, 5)),
    "a slice less than there is": lambda: gzip.compress(with_sides(nifti(), 6, 5, 3)),
    "a wrong dtype": lambda: gzip.compress(nifti()[:70] + b"\x04\0\x10\0" + nifti()[74:]),
    "empty": lambda: b"",
    "header only": lambda: gzip.compress(nifti()[:352]),
    "impossible sides": lambda: gzip.compress(with_sides(nifti(), 6, -5, 4)),
}


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_volumes(name: str, tmp_path: Path) -> None:
    if library := LIBRARIES.get(Path(name).suffix):
        pytest.importorskip(library)
    write, member = FORMATS[name]
    members = {f"{at}.nii.gz": make() for at, make in enumerate(DAMAGES.values())}
    write(tmp_path / name, members | {"sound.nii.gz": gzip.compress(nifti())})
    raw = open_raw(tmp_path)
    sound = read_volume(raw.resolve(f"{name}#{member.format('sound.nii.gz')}"))
    np.testing.assert_array_equal(label_volume(sound, CODES).voxels, DRAWN)
    for at, what in enumerate(DAMAGES):
        address = f"{name}#{member.format(f'{at}.nii.gz')}"
        with pytest.raises(InputError) as caught:
            read_volume(raw.resolve(address))
            pytest.fail(what)
        assert address in str(caught.value), what


@pytest.mark.parametrize("name", FORMATS)
def test_damaged_masks(name: str, tmp_path: Path) -> None:
    if library := LIBRARIES.get(Path(name).suffix):
        pytest.importorskip(library)
    write, member = FORMATS[name]
    lengths = range(1, len(png()) - 12, 9)
    cuts = {f"{length}.png": png()[:length] for length in lengths}
    write(tmp_path / name, cuts | {"sound.png": png()})
    raw = open_raw(tmp_path)
    sound = masks.read_mask(raw.resolve(f"{name}#{member.format('sound.png')}"), codes=CODES)
    np.testing.assert_array_equal(sound.codes, DRAWN[:, :, 1])
    for length in lengths:
        with pytest.raises(UnreadableFile):
            address = f"{name}#{member.format(f'{length}.png')}"
            masks.read_mask(raw.resolve(address), codes=CODES)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz", "a.parquet"])
def test_bombs(name: str, tmp_path: Path) -> None:
    """A member that inflates far beyond what its header declares, and one that declares it."""
    write, member = FORMATS[name]
    endless = gzip.compress(nifti() + bytes(30_000_000))
    vast = gzip.compress(with_sides(nifti(), 30_000, 30_000, 4))
    write(tmp_path / name, {"endless.nii.gz": endless, "vast.nii.gz": vast})
    raw = open_raw(tmp_path)
    with pytest.raises(UnreadableFile, match="more data than the header declares"):
        read_volume(raw.resolve(f"{name}#{member.format('endless.nii.gz')}"))
    path = raw.resolve(f"{name}#{member.format('vast.nii.gz')}")
    with pytest.raises(TooLarge):
        read_volume(path)
    with pytest.raises(UnreadableFile, match="cannot hold"):
        read_volume(path, limits=Limits(voxels=10**10, inflated_bytes=10**11))
