"""What an installation brings: two import names, whatever else lies in the user's folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest

from qoqdata.sources import catalogue
from qoqdata.suite.examples import build_example
from qoqdata.yaml_document import parse_yaml
from tests.suite.test_outside_package import check_outside_package

ROOT = Path(__file__).resolve().parents[1]
#: Where folders of the repository lie in the wheel.
HOMES = {
    "qoqdata": "qoqdata",
    "qoqtrain": "qoqtrain",
    "converters": "qoqdata/converters",
    "schemas": "qoqdata/schemas",
}
GENERIC = ("schemas", "converters", "tests", "benchmarks")


def package(folder: Path, version: str) -> Path:
    """The wheel of this repository; version "standard" or "editable"."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", f"wheel:{version}"]
    done = subprocess.run(
        [*command, "-d", str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def environment(folder: Path, wheel: Path) -> Path:
    """The interpreter of an environment with `wheel`, and this one's other packages.

    A path file adds the folder of packages, but not what that folder's own path files add: so an
    editable installation of this repository stays out.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = Path(run(python, "-c", code, cwd=folder).strip())
    with zipfile.ZipFile(wheel) as content:
        content.extractall(site)
    packages = [path for path in sys.path if path.endswith("site-packages")]
    (site / "zz_packages.pth").write_text("\n".join(packages), encoding="utf-8")
    return python


def run(python: str | Path, *arguments: str, cwd: Path) -> str:
    """Standard output of a process that inherits no path and no settings of this project."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name != "PYTHONPATH" and not name.startswith(("QOQDATA_", "COV_", "PYTEST_"))
    }
    done = subprocess.run(
        [str(python), *arguments],
        cwd=cwd,
        env=variables | {"QOQDATA_SALT_FILE": str(cwd / "salt")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(tmp_path_factory.mktemp("wheel"), "standard")


@pytest.fixture(scope="module")
def editable(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an editable installation."""
    folder = tmp_path_factory.mktemp("editable")
    return environment(folder / "env", package(folder, "editable"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an installation from the wheel."""
    return environment(tmp_path_factory.mktemp("installed") / "env", wheel)


def shipped() -> Iterator[str]:
    """What the wheel should hold: every file of the four folders that is no by-product."""
    for top, home in HOMES.items():
        for path in (ROOT / top).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                # The package of converters is in the wheel once, with the sources below it.
                yield f"{home}/{path.relative_to(ROOT / top).as_posix()}"


def test_the_wheel_has_two_packages_and_every_file(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as content:
        names = set(content.namelist())
        record = next(name for name in names if name.endswith(".dist-info/RECORD"))
        listed = {line.split(",")[0] for line in content.read(record).decode().splitlines()}
    assert listed == names
    inside = {name for name in names if ".dist-info" not in PurePosixPath(name).parts[0]}
    assert {PurePosixPath(name).parts[0] for name in inside} == {"qoqdata", "qoqtrain"}
    assert inside == set(shipped())
    assert {"qoqdata/py.typed", "qoqtrain/py.typed"} <= inside


def test_the_citation_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    where = "CITATION.cff"
    citation = parse_yaml((ROOT / where).read_text(encoding="utf-8"), where=where)
    for ours, theirs in (("version", "version"), ("name", "title"), ("description", "abstract")):
        assert citation[theirs].rstrip(".") == project[ours], theirs
    assert citation["license"] == project["license"]


def users_folder(folder: Path, kind: str) -> list[str]:
    """Write the user's own modules; returns their import names."""
    if kind == "module":
        for name in GENERIC:
            (folder / f"{name}.py").write_text("MINE = True\n")
        return list(GENERIC)
    for name in GENERIC:
        (folder / name).mkdir()
        (folder / name / "mine.py").write_text("MINE = True\n")
        if kind == "package":
            (folder / name / "__init__.py").write_text("MINE = True\n")
    return [f"{name}.mine" for name in GENERIC] + (list(GENERIC) if kind == "package" else [])


SCRIPT = """
import json, sys
from importlib import import_module
from pathlib import Path

def main(dataset, raw, names):
    import qoqdata
    from qoqdata.sources import catalogue

    first = qoqdata.open(dataset).manifest.digest
    for name in names:
        assert import_module(name).MINE, name
    sys.argv = ["qoqdata", "build", "ham10000", "--raw", raw, "--out", "built", "--workers", "1"]
    from qoqdata.cli.main import run
    try:
        run()
    except SystemExit as end:
        assert not end.code, end.code
    print()
    print(json.dumps([first, sorted(catalogue.cards()), qoqdata.__file__]))

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
"""


@pytest.mark.parametrize("kind", ["module", "package", "namespace"])
def test_a_users_own_names_stay_the_users(kind: str, tmp_path: Path, editable: Path) -> None:
    """A script beside the user's `schemas` and the like opens a set and builds one with workers."""
    built = build_example(catalogue.find_source("image_table"), tmp_path / "set").dataset
    folder = tmp_path / "project"
    folder.mkdir()
    names = users_folder(folder, kind)
    (folder / "app.py").write_text(SCRIPT)
    (folder / "salt").write_text("cd" * 32)
    raw = catalogue.find_source("ham10000").folder / "example" / "raw"
    output = run(editable, "app.py", str(built.layout.root), str(raw), *names, cwd=folder)
    digest, slugs, home = json.loads(output.splitlines()[-1])
    assert digest == built.manifest.digest
    assert slugs == sorted(catalogue.cards())
    assert Path(home) == ROOT / "qoqdata" / "__init__.py"


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    """Its workers are processes of their own, which find the converters inside the package."""
    command = ("-c", "from qoqdata.cli.main import run; run()")
    output = run(installed, *command, "demo", "--out", "demo", "--workers", "2", cwd=tmp_path)
    assert "drpo weights" in output
    listing = run(installed, *command, "sources", cwd=tmp_path)
    assert all(slug in listing for slug in catalogue.cards())
    home = run(installed, "-c", "import qoqdata; print(qoqdata.__file__)", cwd=tmp_path)
    assert installed.parents[1] in Path(home.strip()).parents


@pytest.mark.slow
def test_an_outside_package_keeps_the_suite_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    check_outside_package(installed, tmp_path)


FOREIGN = """
import qoqdata
import qoqtrain

reveal_type(qoqdata.open)
reveal_type(qoqtrain.DRPO.from_stats)
qoqdata.open(3)
"""


@pytest.mark.slow
def test_a_type_checker_sees_our_types(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FOREIGN)
    command = [sys.executable, "-m", "mypy", "--python-executable", str(installed)]
    command += ["--config-file", os.devnull, "--follow-imports", "silent", "app.py"]
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True)
    revealed = [line for line in done.stdout.splitlines() if "Revealed type" in line]
    assert len(revealed) == 2 and not any("Any" in line.partition("->")[2] for line in revealed)
    assert "qoqdata.dataset.Dataset" in revealed[0]
    assert "DRPO" in revealed[1]
    assert 'Argument 1 to "open_dataset" has incompatible type "int"' in done.stdout
