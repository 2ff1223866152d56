"""Damaged and contradictory slices end as a volume that tells it or as an error that names a file.

Beside single faults, every file of a series is cut and has bits flipped at random.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from qoqdata.errors import InputError, NotAVolume, UnreadableFile
from qoqdata.readers.dicom import group_series, read_series
from qoqdata.readers.dicom.header import header
from qoqdata.readers.dicom.series_identity import find_series
from qoqdata.readers.limits import Limits
from tests.readers.dicom_objects import change, image, save
from tests.readers.test_dicom_damage import damaged

LIMITS = Limits(image_pixels=4_000_000, frames=500, voxels=20_000_000, inflated_bytes=2**26)


def slices(count: int = 5) -> list[FileDataset]:
    """Axial slices 2 mm apart; slice k has the value k."""
    out = []
    for k in range(count):
        dataset = image(np.full((4, 4), k, "<i2"))
        out.append(
            change(
                dataset,
                PatientID="P1",
                FrameOfReferenceUID="1.9",
                ImagePositionPatient=[0.0, 0.0, 2.0 * k],
                ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
                PixelSpacing=[1.0, 1.0],
                SOPInstanceUID=f"1.2.3.{k}",
            )
        )
    return out


def write(folder: Path, datasets: list[FileDataset]) -> list[Path]:
    return [save(dataset, folder / f"{k}.dcm") for k, dataset in enumerate(datasets)]


def poke(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def header_only(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: content.index(b"\xe0\x7f\x10\x00OW")])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (cut, "truncated"),
        (header_only, "pixel data"),
        (lambda path: poke(path, b"0.0\\0.0\\6.0 ", b"0.0\\0.0\\nan "), "not finite"),
        (lambda path: poke(path, b"0.0\\0.0\\6.0 ", b"0.0\\0.0\\inf "), "not finite"),
        (lambda path: poke(path, b"1.0\\1.0 ", b"0.0\\0.0 "), "PixelSpacing"),
        (lambda path: poke(path, b"1.0\\1.0 ", b"-1\\-1.0 "), "PixelSpacing"),
        (lambda path: path.write_bytes(b""), "DICOM|empty|data elements"),
    ],
    ids=["cut", "header only", "NaN place", "infinite place", "no spacing", "negative", "empty"],
)
def test_one_bad_slice_is_named(
    tmp_path: Path, damage: Callable[[Path], object], message: str
) -> None:
    paths = write(tmp_path, slices())
    damage(paths[3])
    with pytest.raises(UnreadableFile, match=rf"{paths[3].name}.*({message})") as caught:
        read_series(paths)
    assert caught.value.where == str(paths[3])


@pytest.mark.parametrize("keyword", ["ImagePositionPatient", "ImageOrientationPatient"])
def test_a_slice_without_its_place_is_named(tmp_path: Path, keyword: str) -> None:
    datasets = slices()
    change(datasets[3], **{keyword: None})
    with pytest.raises(UnreadableFile, match=keyword) as caught:
        read_series(write(tmp_path, datasets))
    assert str(caught.value.where).endswith("3.dcm")


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"Rows": 2, "Columns": 8}, r"3\.dcm: the files differ in rows: 2 here, 4 in .*0\.dcm"),
        ({"Modality": "MR"}, r"3\.dcm: the files differ in modality: MR here, CT in .*0\.dcm"),
        ({"PatientID": "Smith"}, r"3\.dcm: the files differ in patient id: this one and .*0\.dcm"),
        ({"StudyInstanceUID": "1.7"}, r"3\.dcm: the files differ in study instance uid"),
        ({"FrameOfReferenceUID": "1.7"}, r"3\.dcm: the files differ in frame of reference uid"),
        (
            {"PixelSpacing": [1.0, 2.0]},
            r"3\.dcm: the slices have mixed pixel spacings: \(1, 2\) here, \(1, 1\) in .*0\.dcm",
        ),
        (
            {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]},
            r"3\.dcm: the slices have mixed orientations: \(0, 1, 0, 0, 0, -1\) here, \(1, 0, 0",
        ),
        (
            {"ImagePositionPatient": [9.0, 0.0, 6.0]},
            r"3\.dcm: the slices do not follow one straight line: this one lies 9\.00 mm beside",
        ),
        (
            {"ImagePositionPatient": [0.0, 0.0, 8.0]},
            r"4\.dcm: different slices lie at one place, 8 mm .*: this one and .*3\.dcm",
        ),
    ],
)
def test_two_files_and_what_they_say_are_named(tmp_path: Path, keywords: dict, said: str) -> None:
    datasets = slices()
    change(datasets[3], **keywords)
    with pytest.raises(InputError, match=said) as caught:
        read_series(write(tmp_path, datasets))
    assert "Smith" not in str(caught.value)


def test_images_that_are_no_slices_are_not_called_unreadable(tmp_path: Path) -> None:
    datasets = slices(2)
    for dataset in datasets:
        change(dataset, Modality="US", ImagePositionPatient=None)
    paths = write(tmp_path, datasets)
    with pytest.raises(NotAVolume, match=r"0\.dcm: a US without a place.*unit: file"):
        read_series(paths)
    # Of a folder they are left out and told.
    for number, dataset in enumerate(slices(3)):
        save(dataset, tmp_path / f"ct{number}.dcm")
    found = read_series(tmp_path)
    assert found.values.shape == (3, 4, 4)
    assert sum(repair.startswith("left out: ") for repair in found.repairs) == 2


def test_object_uids_that_repeat_at_many_places_are_told(tmp_path: Path) -> None:
    datasets = slices(20)
    for dataset in datasets:
        dataset.SOPInstanceUID = "1.2.3.4"
    paths = write(tmp_path, datasets)
    assert list(group_series(paths).values()) == [sorted(paths)]
    found = read_series(paths)
    assert found.values[:, 0, 0].tolist() == list(range(20))
    assert found.repairs == ("SOP instance UIDs repeat at several places: not used",)


def test_a_thousand_files_of_one_object_uid_are_one_series() -> None:
    facts = header(slices(1)[0])
    headers = {}
    for k in range(1000):
        place = replace(facts.acquisition, position=(0.0, 0.0, 2.0 * k))
        headers[f"{k}.dcm"] = replace(facts, acquisition=place)
    (series,) = find_series(headers)
    assert len(series.files) == 1000


def test_a_single_slice_is_told(tmp_path: Path) -> None:
    (only,) = slices(1)
    paths = write(tmp_path, [change(only, SliceThickness=3)])
    assert read_series(paths).repairs == ("a single slice: its thickness is the slice spacing",)


def test_random_damage_is_told_or_changes_nothing_of_the_others(tmp_path: Path) -> None:
    """An error names one of the files; a volume has the other slices at their places."""
    dice = random.Random(5)
    paths = write(tmp_path, slices())
    whole = paths[2].read_bytes()
    for _ in range(60):
        paths[2].write_bytes(damaged(whole, dice))
        try:
            found = read_series(paths, limits=LIMITS)
        except InputError as error:
            assert str(tmp_path) in str(error)
            assert ".dcm" in str(error)
        else:
            levels = found.values[:, 0, 0].tolist()
            assert [level for level in levels if level in (0, 1, 3, 4)][:2] == [0, 1]
            assert len(levels) in (4, 5)
