"""Importing costs little: heavy libraries wait until something needs them."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

import qoqdata
import qoqtrain

HEAVY = {
    "torch",
    "transformers",
    "deepspeed",
    "datasets",
    "wfdb",
    "cv2",
    "SimpleITK",
    "scipy",
    "sklearn",
    "nibabel",
    "ray",
    "matplotlib",
}


def imported(code: str) -> set[str]:
    """Top-level modules that a fresh process holds after `code`."""
    script = (
        f"{code}\nimport sys; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import qoqdata",
        "import qoqdata; qoqdata.open; qoqdata.Dataset; qoqdata.QoqdataError; qoqdata.__version__",
        "import qoqdata; [getattr(qoqdata, name) for name in qoqdata.__all__]",
        "from qoqdata.cli.main import app",
        "from qoqdata.sources import catalogue; catalogue.cards()",
    ],
)
def test_qoqdata_imports_nothing_heavy(code: str) -> None:
    assert imported(code) & HEAVY == set()


def test_the_names_cost_next_to_nothing() -> None:
    cheap = imported("import qoqdata; dir(qoqdata)")
    assert cheap & {"numpy", "pandas", "polars", "pyarrow", "pydantic", "typer", "yaml"} == set()
    functions = imported("import qoqdata; qoqdata.build, qoqdata.stats, qoqdata.publish")
    assert functions & {"numpy", "polars", "pyarrow", "typer"} == set()


def test_to_plan_and_to_resume_needs_neither_images_nor_pandas(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw", tmp_path / "set"
    raw.mkdir()
    (raw / "a.jpg").write_bytes(cv2.imencode(".jpg", np.zeros((16, 16), np.uint8))[1].tobytes())
    (raw / "t.csv").write_text("file,finding,who\na.jpg,clear,p1\n")
    salt = tmp_path / "salt"
    salt.write_text("0" * 64)
    mapping = {
        "slug": "films",
        "name": "Films",
        "domain": "chest_xray",
        "question": "What does it show?",
        "labels": {"clear": "Clear", "mass": "Mass"},
        "table": {"file": "t.csv", "key": "file", "labels": "finding", "patient": "who"},
    }
    (tmp_path / "mapping.yaml").write_text(json.dumps(mapping))
    common = (
        f"raw={str(raw)!r}, mapping={str(tmp_path / 'mapping.yaml')!r}, salt_file={str(salt)!r}"
    )
    build = f"import qoqdata; qoqdata.build('image_table', out={str(out)!r}, workers=0, {common})"
    plan = f"import qoqdata; qoqdata.plan('image_table', out={str(tmp_path / 'plan')!r}, {common})"
    assert "cv2" in imported(build)
    for code in (build, plan):
        assert imported(code) & {*HEAVY, "pandas"} == set()


def test_reading_records_needs_no_torch() -> None:
    assert "torch" not in imported("import qoqdata.validation, qoqdata.statistics.tables")


def test_drpo_needs_no_torch() -> None:
    found = imported("import qoqtrain; qoqtrain.DRPO")
    assert {"qoqtrain", "numpy"} <= found
    assert found & {"torch", "transformers", "deepspeed"} == set()


def test_the_names_of_qoqtrain_need_no_torch() -> None:
    every = imported("import qoqtrain; [getattr(qoqtrain, name) for name in qoqtrain.__all__]")
    assert every & HEAVY == set()
    cheap = imported("import qoqtrain; qoqtrain.train, qoqtrain.evaluate_predictions")
    assert cheap & {"numpy", "polars", "pydantic", "typer"} == set()


def test_qoqdata_does_not_import_a_converter() -> None:
    assert "converters" not in imported("import qoqdata, qoqdata.cli.main")


def test_qoqdata_does_not_know_qoqtrain() -> None:
    code = "import qoqdata, qoqdata.dataset, qoqdata.pipeline.build, qoqdata.cli.main"
    assert "qoqtrain" not in imported(code)


def test_names_that_do_not_exist() -> None:
    import qoqdata

    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        qoqdata.nothing  # type: ignore[attr-defined]  # noqa: B018
    assert set(qoqdata.__all__) >= {"Dataset", "QoqdataError", "__version__", "open"}
    assert all(getattr(qoqdata, name) for name in qoqdata.__all__)


@pytest.mark.parametrize("package", [qoqdata, qoqtrain], ids=lambda package: package.__name__)
def test_type_checkers_see_the_names_that_are_imported_at_first_use(package: ModuleType) -> None:
    tree = ast.parse(Path(package.__file__ or "").read_text(encoding="utf-8"))
    seen = {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    assert seen == set(package.__all__)
