"""Synthetic files are what the readers and other people's readers take them for, and say so."""

from __future__ import annotations

import gzip
import zipfile
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import polars as pl
import pydicom
import pytest
import SimpleITK as sitk
import wfdb
from PIL import Image

from qoqdata import simulation
from qoqdata.readers.dicom import read_dicom, read_series
from qoqdata.readers.ecg import read_ecg
from qoqdata.readers.video import FramePolicy, read_video
from qoqdata.readers.volume import read_volume
from qoqdata.simulation import MARK

RAMP = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8)
GREY, COLOUR = RAMP, np.stack([RAMP, RAMP // 2, 255 - RAMP], axis=2)


def test_png(tmp_path: Path) -> None:
    for name, pixels in {"a": GREY, "b": COLOUR, "c": GREY.astype(np.uint16) * 999}.items():
        simulation.write_png(tmp_path / "new" / f"{name}.png", pixels)
        with Image.open(tmp_path / "new" / f"{name}.png") as image:
            assert (np.asarray(image) == pixels).all()
            assert image.info["Comment"] == MARK
    simulation.write_png(tmp_path / "mask.png", GREY > 20)
    assert (np.asarray(Image.open(tmp_path / "mask.png")) == np.where(GREY > 20, 255, 0)).all()


def test_jpeg(tmp_path: Path) -> None:
    simulation.write_jpeg(tmp_path / "a.jpg", COLOUR)
    with Image.open(tmp_path / "a.jpg") as image:
        assert (image.size, image.mode, image.info["comment"]) == ((32, 24), "RGB", MARK.encode())


def test_dicom(tmp_path: Path) -> None:
    stored = GREY.astype(np.uint16) * 16
    facts = {"seed": 3, "patient": "p1", "study": "s1", "age": 61, "sex": "F"}
    path = tmp_path / "a.dcm"
    more = {"view": "PA", "laterality": "L", "spacing": (0.2, 0.2), "window": (400.0, 800.0)}
    simulation.write_dicom(
        path, stored, **facts, **more, PhotometricInterpretation="MONOCHROME1", StudyID=None
    )  # fmt: skip
    dataset = pydicom.dcmread(path)
    assert (dataset.pixel_array == stored).all()
    assert dataset.ImageType[0] == "DERIVED" and dataset.ImageComments == MARK
    assert str(dataset.PatientName) == "Synthetic^Patient" and dataset.PatientID == "p1"
    assert (dataset.PatientAge, dataset.PatientSex, dataset.Modality) == ("061Y", "F", "DX")
    assert "StudyID" not in dataset and dataset.PhotometricInterpretation == "MONOCHROME1"
    read = read_dicom(path)
    assert (read.view, read.laterality, read.spacing) == ("PA", "L", (0.2, 0.2))
    assert read.repairs == ()


def test_uids_are_valid_and_told_by_their_facts(tmp_path: Path) -> None:
    def uids(path: str, **facts: object) -> tuple[str, str, str]:
        simulation.write_dicom(tmp_path / path, GREY, **facts)  # type: ignore[arg-type]
        dataset = pydicom.dcmread(tmp_path / path)
        found = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
        assert all(one.is_valid for one in found) and len(set(found)) == 3
        return tuple(map(str, found))  # type: ignore[return-value]

    one = uids("x/1.dcm", study="s", number=1)
    assert uids("y/1.dcm", study="s", number=1) == one
    two = uids("x/2.dcm", study="s", number=2)
    assert two[:2] == one[:2] and two[2] != one[2]
    for other in ({"study": "t"}, {"study": "s", "seed": 1}, {"study": "s", "patient": "p"}):
        assert not set(uids("z/1.dcm", **other)) & {*one, *two}
    # Parts do not run into each other.
    assert simulation.uid("ab", "c") != simulation.uid("a", "bc")


def test_a_series_of_slices_is_a_volume(tmp_path: Path) -> None:
    voxels = simulation.scan(np.random.default_rng(0), (24, 20, 3))
    for k in range(3):
        simulation.write_dicom(
            tmp_path / f"{k}.dcm",
            voxels[..., k].T,
            modality="CT",
            study="s",
            spacing=(2.0, 1.0),
            number=k + 1,
            position=(0.0, 0.0, 5.0 * k),
            RescaleSlope=1,
            RescaleIntercept=0,
        )
    series = read_series(tmp_path)
    assert (series.values == voxels.T).all()
    assert sorted(series.spacing) == [1.0, 2.0, 5.0]
    assert series.repairs == ()


@pytest.mark.parametrize("compressed", [False, True])
def test_metaimage(tmp_path: Path, compressed: bool) -> None:
    """ITK reads the same voxels, at the same places."""
    voxels = np.arange(24, dtype=np.int16).reshape(2, 3, 4) - 9
    geometry = {"spacing": (0.5, 0.75, 2.0), "origin": (-3.0, 4.0, -150.5)}
    path = tmp_path / "a.mhd"
    simulation.write_metaimage(path, voxels, **geometry, compressed=compressed)
    image = sitk.ReadImage(str(path))
    assert np.array_equal(sitk.GetArrayFromImage(image), voxels.transpose(2, 1, 0))
    assert (image.GetSpacing(), image.GetOrigin()) == tuple(geometry.values())
    assert simulation.MARK in path.read_text()


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nifti(tmp_path: Path, name: str) -> None:
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    affine = np.diag([-2.0, -1.5, 3.0, 1.0])
    simulation.write_nifti(tmp_path / name, voxels, affine)
    image = nib.load(tmp_path / name)
    assert (np.asarray(image.dataobj) == voxels).all() and (image.affine == affine).all()
    assert image.get_data_dtype() == np.int16
    assert image.header["descrip"].item().decode() == MARK
    assert read_volume(tmp_path / name).voxels.shape == (3, 4, 5)


@pytest.mark.parametrize("container", ["dat", "mat"])
def test_wfdb(tmp_path: Path, container: str) -> None:
    leads = ("I", "II", "III", "aVR", "aVL", "aVF", "V1")
    signal = simulation.ecg(np.random.default_rng(5), 250, 4, leads)
    signal[6, :3] = np.nan
    simulation.write_wfdb(
        tmp_path / "r" / "one", signal, 250, leads, ("Age: 60", "Dx: 1,2"), container=container
    )  # type: ignore[arg-type]
    theirs = wfdb.rdrecord(str(tmp_path / "r" / "one"))
    assert theirs.sig_name == list(leads) and theirs.fs == 250
    assert theirs.comments == ["Age: 60", "Dx: 1,2", MARK]
    expected = np.round(signal, 3)
    if container == "dat":
        np.testing.assert_allclose(theirs.p_signal.T, expected, atol=1e-6)
    ours = read_ecg(tmp_path / "r" / "one.hea")
    np.testing.assert_allclose(np.where(ours.valid, ours.signal, np.nan), expected, atol=1e-6)
    assert ours.repairs == ()


@pytest.mark.parametrize("name", ["a.avi", "a.mp4", "a.mov", "a.gif"])
@pytest.mark.parametrize("colour", [False, True])
def test_video(tmp_path: Path, name: str, colour: bool) -> None:
    rng = np.random.default_rng(1)
    draw: Callable = simulation.photograph if colour else simulation.film
    frames = [draw(rng, (48, 64)) for _ in range(10)]
    simulation.write_video(tmp_path / name, frames, 10)
    assert MARK.encode() in (tmp_path / name).read_bytes()
    clip = read_video(tmp_path / name, choose=FramePolicy("all"))
    assert clip.frames.shape == (10, 48, 64, 3) and clip.fps == 10
    for ours, theirs in zip(frames, clip.frames, strict=True):
        grey = ours if colour else ours[..., None]
        assert abs(grey.astype(int) - theirs).mean() < 14


def test_tables(tmp_path: Path) -> None:
    rows = [{"id": "a,b", "x": 1}, {"id": "c", "x": None}]
    for name, separator in [("a.csv", ","), ("a.csv.gz", ","), ("a.tsv", "\t"), ("a.tab", "\t")]:
        simulation.write_csv(tmp_path / name, rows)
        table = pl.read_csv(tmp_path / name, separator=separator, infer_schema=False)
        assert table.rows() == [("a,b", "1"), ("c", None)]
    simulation.write_csv(tmp_path / "b.csv", [], columns=["id", "x"], separator=";")
    assert (tmp_path / "b.csv").read_text() == "id;x\n"
    simulation.write_text(tmp_path / "b.txt.gz", "ü\n")
    assert gzip.decompress((tmp_path / "b.txt.gz").read_bytes()).decode() == "ü\n"
    with pytest.raises(ValueError, match="y"):
        simulation.write_csv(tmp_path / "c.csv", [{"x": 1}, {"x": 1, "y": 2}])


def test_workbook(tmp_path: Path) -> None:
    """What Excel's parsers read: numbers as numbers; the mark stands in its description."""
    fastexcel = pytest.importorskip("fastexcel")
    rows = [{"id": "a <b>", "x": 1.5, "y": None}, {"id": " 007 ", "x": 2, "y": "é"}]
    simulation.write_xlsx(tmp_path / "a.xlsx", rows)
    sheet = fastexcel.read_excel(tmp_path / "a.xlsx").load_sheet(0).to_polars()
    assert sheet.rows() == [("a <b>", 1.5, None), (" 007 ", 2.0, "é")]
    with zipfile.ZipFile(tmp_path / "a.xlsx") as book:
        assert MARK in book.read("docProps/core.xml").decode()


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    def write(folder: Path) -> dict[str, bytes]:
        rng = np.random.default_rng(9)
        film = simulation.film(rng, (48, 64), bits=12)
        simulation.write_dicom(folder / "a.dcm", film)
        simulation.write_png(folder / "a.png", film)
        simulation.write_jpeg(folder / "a.jpg", simulation.photograph(rng, (48, 64)))
        volume = simulation.scan(rng, (16, 16, 4))
        simulation.write_nifti(folder / "a.nii.gz", volume, np.eye(4))
        simulation.write_wfdb(folder / "a", simulation.ecg(rng, 100, 3, ["I"]), 100, ["I"])
        frames = [simulation.film(rng, (48, 64)) for _ in range(4)]
        for suffix in ("avi", "mp4", "gif"):
            simulation.write_video(folder / f"a.{suffix}", frames, 10)
        simulation.write_csv(folder / "a.csv.gz", [{"a": simulation.blob(rng, (9, 9)).sum()}])
        return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}

    first = write(tmp_path / "one")
    assert len(first) == 10 and write(tmp_path / "two") == first


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda path: simulation.write_dicom(path, GREY.astype(float)), "float64"),
        (lambda path: simulation.write_dicom(path, GREY[0]), "1 axes"),
        (lambda path: simulation.write_wfdb(path, np.zeros((2, 9)), 100, ["I"]), "1 names for 2"),
        (lambda path: simulation.write_video(path, [GREY], 5), "known are .gif"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, write: Callable[[Path], None], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        write(tmp_path / "a.bin")
