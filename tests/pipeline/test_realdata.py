"""The first sources on real files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest

import qoqdata
from qoqdata.dataset import Dataset
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.records.identity import keyed
from tests.pipeline.conftest import SALT

Build = Callable[..., Dataset]


@pytest.fixture(scope="module")
def built(realdata: Path, tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build one source on a folder of the real files, once; nothing may write into the set."""
    folders: dict[str, Path] = {}

    def run(slug: str, folder: str, mapping: dict | None = None, **options: Any) -> Dataset:
        raw = realdata / folder
        request = SourceRequest(source=slug, raw=raw, mapping=mapping, options=options)
        key = request.model_dump_json()
        if key not in folders:
            folders[key] = tmp_path_factory.mktemp(slug) / "set"
            build(BuildConfig(sources=(request,)), folders[key], BuildSetting(SALT, workers=0))
        return qoqdata.open(folders[key])

    return run


def rows(dataset: Dataset) -> list[dict]:
    return [row for path in dataset.paths for row in pq.read_table(path).to_pylist()]


def test_ptb_xl(built: Build, realdata: Path) -> None:
    import wfdb

    dataset = built("ptb_xl", "ecg/ptb-xl")
    table = pl.read_csv(realdata / "ecg/ptb-xl/ptbxl_database.csv", infer_schema=False)
    asked = rows(dataset)
    records = [row for row in asked if row["task"] == "diagnosis"]
    # Records 190 and 382 say PACE alone, which is no diagnosis.
    diagnoses = table.filter(pl.col("scp_codes") != "{'PACE': 100.0}")
    counts = dataset.manifest.sources["ptb_xl"].counts
    assert (table.height, len(records), counts.converted, counts.filtered) == (34, 32, 34, 0)
    folds = diagnoses["strat_fold"].cast(pl.Int32)
    by_split = {"train": (folds <= 8).sum(), "validation": (folds == 9).sum()}
    by_split["test"] = (folds == 10).sum()
    assert Counter(row["split"] for row in records) == by_split
    fold_of = dict(zip(diagnoses["filename_hr"], folds, strict=True))
    limbs = ["I", "II", "III", "aVR", "aVL", "aVF"]
    for record in records:
        stem = record["provenance"]["raw"][0].removesuffix(".hea")
        fold = fold_of[stem]
        assert record["split"] == ("train" if fold <= 8 else ["validation", "test"][fold - 9])
        ecg = record["ecg"]
        assert ecg["leads"] == [*limbs, *(f"V{n}" for n in range(1, 7))]
        assert ecg["fs"] == 500
        reference = wfdb.rdrecord(str(realdata / "ecg/ptb-xl" / stem)).p_signal.T
        assert np.abs(np.asarray(ecg["signal"]) - reference).max() < 1e-6
    answers = {r["provenance"]["raw"][0]: r["answer"] for r in records}
    # Record 271: ASMI, LVH, ISC_ (diagnostic), PAC, STD_, SR.
    several = "Myocardial infarction, ST-T change, Hypertrophy"
    assert answers["records500/00000/00271_hr.hea"] == several
    assert {r["age"] for r in records} <= set(range(17, 91))


def test_ptb_xl_at_100_hz(built: Build) -> None:
    records = rows(built("ptb_xl", "ecg/ptb-xl", rate="100"))
    assert {(r["ecg"]["fs"], len(r["ecg"]["signal"][0])) for r in records} == {(100.0, 1000)}


def test_ham10000(built: Build, realdata: Path) -> None:
    dataset = built("ham10000", "dermoscopy/ham10000_small", questions="diagnosis")
    records = rows(dataset)
    assert len(records) == 156
    root = realdata / "dermoscopy/ham10000_small"
    for record in records:
        raw_image, raw_mask = record["provenance"]["raw"]
        stored = cv2.imdecode(np.frombuffer(record["images"][0]["bytes"], np.uint8), 1)
        assert (stored == cv2.imread(str(root / raw_image))).all()
        # The mask is 600 x 450 over an image of 200 x 150: every third pixel, from the middle.
        full = cv2.imread(str(root / raw_mask), 0)
        small = full[1::3, 1::3]
        y, x = np.nonzero(small)
        box = record["regions"][0]
        found = [box[k] for k in ("x_min", "y_min", "x_max", "y_max", "area")]
        assert found == [x.min(), y.min(), x.max() + 1, y.max() + 1, len(x)]
        code = cv2.imdecode(np.frombuffer(record["masks"][0]["bytes"], np.uint8), -1)
        assert (code == small).all()
    table = pl.read_csv(root / "HAM10000_metadata.csv")
    lesion = dict(zip(table["image_id"], table["lesion_id"], strict=True))
    splits: dict[str, set] = {}
    for record in records:
        stem = Path(record["provenance"]["raw"][0]).stem
        splits.setdefault(lesion[stem], set()).add(record["split"])
    assert len(splits) == 112
    assert all(len(found) == 1 for found in splits.values())


def test_lc25000_without_group_list_stays_in_train(built: Build) -> None:
    dataset = built("lc25000", "histology/lc25000_224px", questions="diagnosis")
    assert dataset.manifest.sources["lc25000"].counts.by_split == {"train": 45}
    answers = dataset.records.select("answer").collect()["answer"].value_counts().to_dicts()
    assert {(row["answer"], row["count"]) for row in answers} == {
        ("Lung adenocarcinoma", 15),
        ("Normal lung tissue", 15),
        ("Lung squamous cell carcinoma", 15),
    }


@pytest.mark.slow
def test_covid_blues(built: Build, realdata: Path) -> None:
    dataset = built("covid_blues", "ultrasound/COVID-BLUES", task="severity")
    clips = sorted((realdata / "ultrasound/COVID-BLUES/lus_videos").glob("*.mp4"))
    records = rows(dataset)
    assert len(records) == len(clips) == 14
    assert len({record["patient"] for record in records}) == 3
    # patient_5_R3 has 7 frames in all.
    assert sorted(len(record["images"]) for record in records) == [7, *[8] * 13]
    counts = dataset.manifest.sources["covid_blues"].counts
    # severity.csv has 362 rows; each of the 348 clips that are not here has its row.
    assert (counts.units, counts.quarantined) == (362, 348)
    scores = {Path(r["provenance"]["raw"][0]).stem: r["answer"] for r in records}
    assert scores["patient_13_L1"] == "Score 3"
    assert scores["patient_21_L2"] == "Score 1"


@pytest.mark.slow
def test_kits23_without_imaging_is_annotation_only(built: Build) -> None:
    dataset = built("kits23", "nifti/kits23")
    records = rows(dataset)
    counts = dataset.manifest.sources["kits23"].counts
    assert (counts.records, counts.annotation_only) == (3, 3)
    assert all(r["images"] is None and r["masks"] and r["regions"] for r in records)
    assert dataset.kept().height == 0
    sexes = {(r["answer"], r["age"], r["sex"]) for r in records}
    # case_00534, case_00546, case_00569 of kits23.json; case_00550 has no stated malignancy.
    assert sexes == {
        ("Benign", 74, "female"),
        ("Malignant", 61, "female"),
        ("Benign", 60, "female"),
    }


@pytest.mark.slow
def test_dicom_folder(built: Build, realdata: Path) -> None:
    options = ["CT", "MR", "US", "CR", "MG", "DX", "OT", "NM", "PT", "XA"]
    mapping = {
        "slug": "scans",
        "name": "Scans",
        "domain": "multimodal",
        "question": "Which technique?",
        "options": options,
        "label_header": "modality",
    }
    dataset = built("dicom_folder", "dicom", mapping)
    table = pl.read_parquet(dataset.root / "quarantine/scans.parquet")
    quarantined = table.filter(pl.col("outcome") == "quarantined")
    assert list(quarantined["unit"]) == ["broken/MR4_JPLY"]
    assert set(quarantined["reason"]) == {"unreadable_file"}
    filtered = table.filter(pl.col("outcome") == "filtered")
    # Three reports and plans; six SEG files and one dose grid; tiles of a whole slide.
    counts = dict(filtered["reason"].value_counts().iter_rows())
    assert counts == {"no_pixels": 3, "other_modality": 7, "no_picture": 1}
    assert list(filtered.filter(reason="no_picture")["unit"]) == ["broken/multiframe.dcm"]
    files = sum(path.is_file() for path in (realdata / "dicom").rglob("*"))
    assert dataset.manifest.sources["scans"].counts.records == files - 1 - 11


def test_dicom_series(built: Build) -> None:
    mapping = {
        "slug": "series",
        "name": "Series",
        "domain": "mri",
        "question": "Which technique?",
        "options": ["CT", "MR"],
        "label_header": "modality",
        "unit": "series",
        "slices": 5,
    }
    dataset = built("dicom_folder", "dicom/series_mr_hippocampus_crop", mapping)
    (record,) = rows(dataset)
    assert len(record["images"]) == 5
    assert len(record["provenance"]["raw"]) == 32
    indices = [info["index"] for info in record["image_info"]]
    assert len(set(indices)) == 5


def test_nifti_pairs(built: Build, realdata: Path) -> None:
    import nibabel

    names = {1: "Anterior hippocampus", 2: "Posterior hippocampus"}
    mapping = {
        "slug": "hippocampus",
        "name": "Hippocampus",
        "domain": "mri",
        "question": "Which structures?",
        "kind": "multi",
        "options": list(names.values()),
        "mask_codes": names,
        "image": "images/{key}.nii.gz",
        "mask": "labels/{key}.nii.gz",
        "slices": 6,
    }
    root = realdata / "nifti/msd_hippocampus/TrainingSet"
    records = rows(built("nifti_pairs", "nifti/msd_hippocampus/TrainingSet", mapping))
    assert len(records) == 28
    paths = [path.relative_to(root).as_posix() for path in (root / "labels").glob("*.nii.gz")]
    label_of = {keyed("path", "hippocampus", path, salt=SALT): root / path for path in paths}
    for record in records:
        label = np.asarray(nibabel.load(label_of[record["provenance"]["raw"][1]]).dataobj)
        boxes = []
        for place, facts in enumerate(record["image_info"]):
            assert facts["view"] == "axial"
            # A RAS file cut axially: the image is the slice with both axes turned over.
            expected = label[::-1, ::-1, facts["index"]].T
            stored = cv2.imdecode(np.frombuffer(record["masks"][place]["bytes"], np.uint8), -1)
            assert (stored == expected).all()
            for code in sorted(set(np.unique(expected)) - {0}):
                y, x = np.nonzero(expected == code)
                edges = (x.min(), y.min(), x.max() + 1, y.max() + 1)
                boxes.append((names[int(code)], place, *edges, len(x)))
        keys = ("label", "image", "x_min", "y_min", "x_max", "y_max", "area")
        assert [tuple(region[key] for key in keys) for region in record["regions"]] == boxes
        assert boxes


def test_wfdb_folder(built: Build) -> None:
    mapping = {
        "slug": "ecgs",
        "name": "ECGs",
        "domain": "ecg",
        "question": "Which rhythm?",
        "kind": "multi",
        "labels": {"426783006": "Sinus rhythm", "426177001": "Sinus bradycardia"},
        "label_header": "dx",
        "unmapped": "ignore",
    }
    dataset = built("wfdb_folder", "ecg/cinc2021", mapping)
    counts = dataset.manifest.sources["ecgs"].counts
    assert counts.units == 22
    assert counts.records + counts.filtered == 22
    assert counts.records > 0


def test_other_readers_open_the_shards(built: Build) -> None:
    import duckdb
    from PIL import Image

    dataset = built("ham10000", "dermoscopy/ham10000_small", questions="diagnosis")
    loaded = dataset.to_hf()
    first = loaded["train"][0]
    assert isinstance(first["images"][0], Image.Image)
    assert first["images"][0].size == (200, 150)
    assert loaded["train"].num_rows + loaded["test"].num_rows + loaded["validation"].num_rows == 156
    files = [str(path) for path in dataset.paths]
    query = "select answer, count(*) from read_parquet(?) group by 1 order by 1"
    counted = dict(duckdb.sql(query, params=[files]).fetchall())
    table = dataset.records.group_by("answer").len().sort("answer").collect()
    assert counted == dict(table.iter_rows())
    assert counted["Dermatofibroma"] == 27


def test_hugging_face_opens_ecgs(built: Build, tmp_path: Path) -> None:
    from datasets import load_dataset

    dataset = built("ptb_xl", "ecg/ptb-xl")
    files = [str(path) for path in dataset.paths]
    loaded = load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))["train"]
    ecg = loaded[0]["ecg"]
    assert np.asarray(ecg["signal"]).shape == (12, 5000)
    assert np.asarray(ecg["valid"]).shape == (12, 5000)
