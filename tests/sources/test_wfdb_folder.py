"""Multi-segment records are one unit with all their files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

import qoqdata
from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.records.identity import Salt

MAPPING = {
    "slug": "ecgs",
    "name": "ECGs",
    "domain": "ecg",
    "question": "Which rhythm?",
    "kind": "multi",
    "labels": {"1": "Sinus rhythm"},
    "label_header": "dx",
}


def test_a_record_of_segments_is_one_unit(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for number in (1, 2):
        samples = np.arange(number, number + 8, dtype="<i2")
        samples.tofile(raw / f"part{number}.dat")
        line = f"part{number}.dat 16 1000/mV 16 0 {samples[0]} {samples.sum()} 0 II"
        (raw / f"part{number}.hea").write_text(f"part{number} 1 100 8\n{line}\n")
    (raw / "whole.hea").write_text("whole/2 1 100 16\npart1 8\npart2 8\n#Dx: 1\n")
    request = SourceRequest(source="wfdb_folder", raw=raw, mapping=MAPPING)
    setting = BuildSetting(Salt(b"s" * 32), workers=0)
    manifest = build(BuildConfig(sources=(request,)), tmp_path / "set", setting)
    assert manifest.sources["ecgs"].counts.units == 1
    (record,) = pq.read_table(qoqdata.open(tmp_path / "set").paths[0]).to_pylist()
    assert len(record["provenance"]["raw"]) == 5
    expected = [*range(1, 9), *range(2, 10)]
    assert np.allclose(record["ecg"]["signal"][0], np.array(expected) / 1000, atol=1e-7)
