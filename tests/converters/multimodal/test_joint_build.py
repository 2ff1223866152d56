"""MIMIC-IV, MIMIC-CXR and MIMIC-IV-ECG in one build, of trees that share patients."""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from qoqdata.converters.multimodal.mimic_iv.prepare import FOLDER, prepare

import qoqdata
from qoqdata.simulation import write_csv, write_jpeg
from qoqdata.sources.catalogue import find_source
from tests.converters.multimodal.tables import Tables, hours

#: Hours from the beginning of a stay at which its patient's first, second and further films, and
#: recordings, are taken: one before each question, and one after all.
TAKEN = (2, 30, 60)
ASKED_AT = {"survive_48h": 24}
PARTS = {"train": "train", "validate": "validation", "test": "test"}


def _module(slug: str) -> Any:
    return import_module(find_source(slug).module.removesuffix("source") + "simulate")


def _cxr(root: Path) -> dict[int, tuple[str, datetime]]:
    """A made-up MIMIC-CXR whose films are of one grey each: patient and time by that grey."""
    _module("mimic_cxr").simulate(root, 10, seed=3)
    path = root / "mimic-cxr-2.0.0-metadata.csv.gz"
    films = pl.read_csv(path, infer_schema=False).to_dicts()
    studies: dict[str, list[str]] = {}
    taken: dict[int, tuple[str, datetime]] = {}
    for number, row in enumerate(films):
        own = studies.setdefault(row["subject_id"], [])
        if row["study_id"] not in own:
            own.append(row["study_id"])
        time = hours(TAKEN[min(own.index(row["study_id"]), len(TAKEN) - 1)])
        row |= {"StudyDate": time.strftime("%Y%m%d"), "StudyTime": time.strftime("%H%M%S")}
        grey = 8 + 5 * number
        patient, study = row["subject_id"], row["study_id"]
        file = root / f"files/p{patient[:2]}/p{patient}/s{study}/{row['dicom_id']}.jpg"
        pixels = np.asarray(Image.open(file))
        write_jpeg(file, np.full(pixels.shape, grey, np.uint8), quality=95)
        taken[grey] = (patient, time)
    assert max(taken) < 256 and any(time == hours(TAKEN[2]) for _, time in taken.values())
    write_csv(path, films)
    return taken


def _ecg(root: Path, patients: list[str]) -> None:
    """A made-up MIMIC-IV-ECG of these patients, three recordings each."""
    _module("mimic_iv_ecg").simulate(root, 3 * len(patients), seed=5, seconds=2)
    tables = {
        name: pl.read_csv(root / f"{name}.csv", infer_schema=False).to_dicts()
        for name in ("record_list", "machine_measurements")
    }
    for number, row in enumerate(tables["record_list"]):
        patient = patients[number // 3]
        study = row["study_id"]
        path = f"files/p{patient[:4]}/p{patient}/s{study}/{study}"
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        for suffix in (".hea", ".dat"):
            shutil.move(root / (row["path"] + suffix), root / (path + suffix))
        row |= {"subject_id": patient, "path": path}
        row["ecg_time"] = f"{hours(TAKEN[number % 3]):%Y-%m-%d %H:%M:%S}"
        (machine,) = (one for one in tables["machine_measurements"] if one["study_id"] == study)
        machine["subject_id"] = patient
    for name, rows in tables.items():
        write_csv(root / f"{name}.csv", rows)
    (root / "mimic-cxr-2.0.0-split.csv.gz").unlink()


@pytest.fixture(scope="module")
def joint(tmp_path_factory: pytest.TempPathFactory) -> tuple[qoqdata.Dataset, dict, dict[str, str]]:
    """The set, the films, and the official split of each patient; one stay a patient."""
    root = tmp_path_factory.mktemp("joint")
    films = _cxr(root / "cxr")
    patients = sorted({patient for patient, _ in films.values()})
    _ecg(root / "ecg", patients)
    tables = Tables()
    for number, patient in enumerate([*patients, "19999999"], start=1):
        tables.stay(number, patient=int(patient))
        tables.chart(number, 2, 80 + number, patient=int(patient))
    tables.write(root / "iv")
    prepare(root / "iv", root / "iv" / FOLDER)
    sources = [
        {
            "source": "mimic_iv",
            "raw": root / "iv",
            "mounts": {"cxr": root / "cxr", "ecg": root / "ecg"},
        },
        {"source": "mimic_cxr", "raw": root / "cxr"},
        {"source": "mimic_iv_ecg", "raw": root / "ecg"},
    ]
    manifest = qoqdata.build(config={"sources": sources}, out=root / "set", workers=0)
    faults = {slug: one.counts.quarantined for slug, one in manifest.sources.items()}
    assert faults == {"mimic_iv": 0, "mimic_cxr": 0, "mimic_iv_ecg": 0}
    split = pl.read_csv(root / "cxr/mimic-cxr-2.0.0-split.csv.gz", infer_schema=False)
    official = {who: PARTS[part] for who, part in split.select("subject_id", "split").iter_rows()}
    return qoqdata.open(root / "set"), films, official


def _stays(dataset: qoqdata.Dataset) -> list[dict[str, Any]]:
    return [row for row in dataset if row["source"] == "mimic_iv"]


def test_one_record_has_report_film_and_ecg_of_one_stay(joint: Any) -> None:
    dataset, films, official = joint
    patients = sorted(official)
    shown = set()
    for row in _stays(dataset):
        (stay,) = re.findall(r"stay_id=(\d+)", " ".join(row["provenance"]["raw"]))
        if int(stay) > len(patients):
            # A patient of whom there is neither film nor recording.
            assert row["images"] is None and row["ecg"] is None
            continue
        (picture,) = row["images"]
        grey = _grey(picture)
        patient, time = films[grey]
        hour = ASKED_AT.get(row["task"], 48)
        # Never another patient's, and never one that was taken after the question was put.
        assert patient == patients[int(stay) - 1]
        assert time < hours(hour)
        # The last one before it, where several were.
        mine = [when for who, when in films.values() if who == patient and when < hours(hour)]
        assert time == max(mine)
        assert row["ecg"] is not None
        assert ("Report of the chest film" in row["context"]) == (time <= hours(hour - 12))
        shown.add(grey)
    later = {grey for grey, (_, time) in films.items() if time >= hours(48)}
    assert later and shown and not later & shown


def test_a_patient_is_in_one_split_of_all_three(joint: Any) -> None:
    dataset, _, official = joint
    rows = dataset.records.select("source", "patient", "split").unique().collect()
    splits = rows.group_by("patient").agg(pl.col("split").n_unique(), pl.col("source").n_unique())
    assert set(splits["split"]) == {1}
    # Every patient with films is in all three; the one without is in mimic_iv alone.
    assert sorted(splits["source"]) == [1, *(3 for _ in official)]
    theirs = rows.filter(source="mimic_cxr").group_by("split").len()
    assert dict(theirs.iter_rows()) == {
        part: sum(one == part for one in official.values()) for part in set(official.values())
    }


def _grey(picture: Any) -> int:
    data = picture["bytes"] if isinstance(picture, dict) else picture
    pixels = np.asarray(Image.open(BytesIO(data)) if isinstance(data, bytes) else data)
    return 8 + 5 * round((float(pixels.mean()) - 8) / 5)


@pytest.mark.parametrize("slug", ["mimic_cxr", "mimic_iv", "mimic_iv_ecg"])
def test_simulated_trees_made_apart_put_a_patient_into_one_split(slug: str, tmp_path: Path) -> None:
    """Large trees share patients by chance, and the build refuses one in two splits."""
    qoqdata.simulate(slug, n=30, out=tmp_path, seed=1)
    listed = pl.read_csv(tmp_path / "mimic-cxr-2.0.0-split.csv.gz")
    wanted = {0: "train", 1: "train", 2: "validate", 3: "test"}
    assert listed["subject_id"].n_unique() > 4
    for patient, split in listed.select("subject_id", "split").unique().iter_rows():
        assert split == wanted[patient % 4]
