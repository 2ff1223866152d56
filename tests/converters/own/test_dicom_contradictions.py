"""A DICOM folder as it is built: what is no picture, and notes where bytes contradict headers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
from pydicom.uid import JPEG2000Lossless

import qoqdata
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from tests.pipeline.conftest import SALT
from tests.readers.dicom_objects import change, image, save

WSI, PARAMETRIC = "1.2.840.10008.5.1.4.1.1.77.1.6", "1.2.840.10008.5.1.4.1.1.30"
MAPPING = {
    "slug": "scans",
    "name": "Scans",
    "domain": "multimodal",
    "question": "Which technique?",
    "options": ["CT", "MR", "SM"],
    "label_header": "modality",
}


def test_derived_objects_are_filtered_and_contradictions_noted(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    tile = np.zeros((4, 32, 32), "u1")
    save(image(tile, Modality="SM", SOPClassUID=WSI), raw / "tiles.dcm")
    save(image(tile, Modality="MR", SOPClassUID=PARAMETRIC), raw / "map.dcm")
    ramp = np.tile(np.arange(-500, 524, 16, dtype="<i2"), (64, 1))
    signed = image(ramp, Modality="MR", WindowCenter=0, WindowWidth=1000)
    signed.compress(JPEG2000Lossless)
    save(change(signed, PixelRepresentation=0), raw / "signed.dcm")
    noise = np.random.default_rng(0).integers(-32768, 32768, (64, 64)).astype("<i2")
    save(image(noise, RescaleSlope=1, RescaleIntercept=-1024), raw / "noise.dcm")

    request = SourceRequest(source="dicom_folder", raw=raw, mapping=MAPPING)
    out = tmp_path / "set"
    build(BuildConfig(sources=(request,)), out, BuildSetting(SALT, workers=0))

    table = pl.read_parquet(out / "quarantine/scans.parquet").sort("unit")
    found = dict(zip(table["unit"], table["reason"], strict=True))
    assert found == {
        "map.dcm": "no_picture",
        "noise.dcm": "unreadable_file",
        "tiles.dcm": "no_picture",
    }
    (row,) = [row for path in qoqdata.open(out).paths for row in pq.read_table(path).to_pylist()]
    assert "read as signed numbers of 16 bits" in str(row["provenance"])
