"""Planted secrets are found wherever they hide; a clean release has none."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from qoqdata.dataset import Dataset, open_dataset
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.publication.privacy import Leak, scan_outgoing, secrets_of
from qoqdata.publication.staging import stage
from qoqdata.records.identity import Salt
from qoqdata.sources import catalogue
from qoqdata.suite.examples import SALT
from tests.records.sound_rows import image_row
from tests.validation.written_set import write


def test_a_staged_release_has_no_leak(mixed: Dataset, tmp_path: Path) -> None:
    staged = stage(mixed, tmp_path / "out")
    assert scan_outgoing(staged.root, secrets_of(mixed, SALT)) == []


@pytest.mark.parametrize(
    "spelling",
    [
        SALT.secret,
        SALT.secret.hex().encode(),
        SALT.secret.hex().upper().encode(),
        base64.b64encode(SALT.secret),
    ],
)
def test_salt_in_any_spelling(mixed: Dataset, tmp_path: Path, spelling: bytes) -> None:
    (tmp_path / "image.bin").write_bytes(b"\xff" * 100_000 + spelling + b"\x00")
    assert scan_outgoing(tmp_path, secrets_of(mixed, SALT)) == [
        Leak("image.bin", "the site's salt")
    ]


@pytest.mark.parametrize(
    "column", ["context", "question", "reasoning", "answer", "provenance", "options", "regions"]
)
def test_a_path_in_any_text_column(mixed: Dataset, tmp_path: Path, column: str) -> None:
    where = "/home/somebody/films/a.png"
    row = image_row(options=None)
    match column:
        case "provenance":
            row[column] = row[column] | {"notes": [f"copied from {where}"]}
        case "options":
            row[column] = ["Clear", where]
        case "regions":
            row[column] = [row[column][0] | {"reader": where}]
        case _:
            row[column] = f"see {where}"
    written = write(tmp_path / "set", [row])
    leaks = scan_outgoing(written.root, secrets_of(mixed, SALT))
    files = ("data/films/train-00000.parquet", "meta/films.parquet")
    assert leaks == [Leak(file, "an absolute path") for file in files]


def test_own_folder_of_the_data_set(mixed: Dataset, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(f"built in {mixed.root.resolve()}")
    found = {leak.what for leak in scan_outgoing(tmp_path, secrets_of(mixed, SALT))}
    assert "a path of this machine" in found


@pytest.fixture(scope="module")
def private(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = catalogue.find_source("dicom_folder").folder / "example"
    request = SourceRequest(
        source="dicom_folder", raw=folder / "raw", mapping=folder / "mapping.yaml"
    )
    out = tmp_path_factory.mktemp("private") / "set"
    build(BuildConfig(sources=(request,)), out, BuildSetting(SALT, workers=0))
    return open_dataset(out)


def test_raw_patient_id_of_a_private_source(private: Dataset, tmp_path: Path) -> None:
    from pydicom import dcmread

    raw = catalogue.find_source("dicom_folder").folder / "example" / "raw" / "export" / "IM0"
    patient = str(dcmread(raw).PatientID)
    (tmp_path / "README.md").write_text(f"Thanks to {patient} for taking part.")
    secrets = secrets_of(private, SALT)
    assert scan_outgoing(tmp_path, secrets) == [Leak("README.md", "a raw patient or study key")]
    (tmp_path / "README.md").write_text("Thanks to everybody for taking part.")
    assert scan_outgoing(tmp_path, secrets) == []


def test_ids_are_recognised_with_the_right_salt_only(private: Dataset, tmp_path: Path) -> None:
    other = Salt(b"the secret of quite another site")
    (tmp_path / "README.md").write_text("P1 P-001 PAT001")
    assert scan_outgoing(tmp_path, secrets_of(private, other)) == []
