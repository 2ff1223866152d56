"""What a person may have typed into a header never gets into any file of a data set."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydicom.dataset import Dataset

from qoqdata.pipeline.build import build
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.suite.examples import SALT
from tests.readers.dicom_objects import image

#: A code string, a word and a name at once; nothing that is made here has it by chance.
MARKER = "ZQXJVKWY"
TEXTS = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "PA ", "AP_", "CHEST ", "ECG ", "V1-", "lead "]),
    st.sampled_from([MARKER, MARKER.lower(), MARKER.title()]),
    st.sampled_from(["", " 12", "_PA", "^JANE", ", ward 7", " (V1)", "-V2", "\u00fc"]),
)
COMMON = {"domain": "chest_xray", "licence": "internal", "kind": "single", "options": ["A", "B"]}
KEYWORDS = (
    *("ViewPosition", "BodyPartExamined", "PatientOrientation", "Laterality", "ImageLaterality"),
    *("SeriesDescription", "StudyDescription", "ImageComments", "PatientName", "RescaleType"),
    *("WindowCenterWidthExplanation", "ProtocolName", "InstitutionName", "PatientComments"),
    *("VOILUTFunction", "PatientSex", "PatientAge"),
)


def everything(root: Path) -> Iterator[bytes]:
    """Names and contents of all files but those that only whoever builds may read."""
    for path in sorted(root.rglob("*")):
        inside = path.relative_to(root)
        if inside.parts[0] in (".build", "quarantine"):
            continue
        yield str(inside).encode()
        if path.suffix == ".parquet":
            yield repr(pq.ParquetFile(path).schema_arrow.metadata).encode()
            yield from leaves(pq.read_table(path).to_pylist())
        elif path.is_file():
            yield path.read_bytes()


def leaves(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from leaves(one)
    else:
        yield value if isinstance(value, bytes) else str(value).encode()


def dicom(text: str, code: str) -> Dataset:
    more = dict.fromkeys(KEYWORDS, text) | {"PatientOrientation": [text, "F"]}
    del more["PatientAge"], more["PatientSex"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = image(np.arange(64, dtype=np.uint16).reshape(8, 8), **more, PatientID="1")
        if code:
            made.ViewPosition = made.BodyPartExamined = made.Modality = code
            made.PatientOrientation = [code, "L"]
    return made


def write_ecg(folder: Path, text: str) -> None:
    """Two leads and a channel of another unit, all described by `text`."""
    samples = (np.arange(3000).reshape(1000, 3) % 97).astype("<i2")
    (folder / "r1.dat").write_bytes(samples.tobytes())
    lines = ["r1 3 500 1000", "r1.dat 16 200/mV 16 0 0 0 0 II"]
    lines += [f"r1.dat 16 200/{unit} 16 0 0 0 0 {text}" for unit in ("mV", "mmHg")]
    (folder / "r1.hea").write_text("\n".join([*lines, f"# {text}", "# Dx: 1", ""]), "utf-8")


def write_images(folder: Path, text: str) -> None:
    pixels = Image.fromarray((np.arange(4096).reshape(64, 64) % 251).astype(np.uint8))
    info = PngInfo()
    info.add_text("Comment", text)
    info.add_itxt("Author", text)
    pixels.save(folder / "a.png", pnginfo=info)
    exif = Image.Exif()
    exif[0x010E], exif[0x9286] = text, text
    pixels.save(folder / "b.jpg", exif=exif, comment=text.encode())
    trailing = BytesIO()
    pixels.save(trailing, "PNG")
    (folder / "c.png").write_bytes(trailing.getvalue() + text.encode())
    rows = "\n".join(f"{name},A" for name in ("a.png", "b.jpg", "c.png"))
    (folder / "t.csv").write_text(f"key,label\n{rows}\n")


def mapping(slug: str, **more: Any) -> dict[str, Any]:
    return {"slug": slug, "name": slug, "question": "Which?", **COMMON, **more}


def requests(raw: Path, text: str, code: str) -> tuple[SourceRequest, ...]:
    for name in ("dicom", "header", "ecg", "images"):
        (raw / name).mkdir(parents=True)
    dicom(text, "").save_as(raw / "dicom" / "a.dcm")
    dicom(text, code).save_as(raw / "dicom" / "b.dcm")
    (raw / "dicom" / "t.csv").write_text("key,label\na.dcm,A\nb.dcm,B\n")
    shutil.copy(raw / "dicom" / "b.dcm", raw / "header" / "b.dcm")
    write_ecg(raw / "ecg", text)
    write_images(raw / "images", text)
    table = {"file": "t.csv", "key": "key", "labels": "label"}
    by_view = {"label_header": "view", "labels": {"PA": "A"}}
    return (
        SourceRequest(
            source="dicom_folder", raw=raw / "dicom", mapping=mapping("films", table=table)
        ),
        SourceRequest(
            source="dicom_folder", raw=raw / "header", mapping=mapping("views", **by_view)
        ),
        SourceRequest(
            source="wfdb_folder",
            raw=raw / "ecg",
            mapping=mapping("ecgs", domain="ecg", label_header="dx", labels={"1": "A"}),
        ),
        SourceRequest(
            source="image_table", raw=raw / "images", mapping=mapping("images", table=table)
        ),
    )


@settings(max_examples=3)
@given(TEXTS, st.sampled_from(["", MARKER, f"{MARKER} PA"]))
def test_no_file_of_a_data_set_has_it(text: str, code: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        config = BuildConfig(sources=requests(root / "raw", text, code))
        made = build(config, root / "set", BuildSetting(SALT, workers=0))
        counts = {slug: entry.counts.records for slug, entry in made.sources.items()}
        assert counts == {"films": 2, "views": 0, "ecgs": 1, "images": 3}
        for content in everything(root / "set"):
            assert MARKER.lower().encode() not in content.lower()
