"""Sources of a domain share a module by relative import: outside, in a checkout, in a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import qoqdata
from qoqdata.shipped import shipped_folder
from qoqdata.sources import catalogue
from qoqdata.suite.scaffold import scaffold

REPOSITORY = Path(qoqdata.__file__).parents[1]
TERMS = 'SPELLINGS = {"0": "1"}\n'
#: A mistake that only a checker who has found the shared module can see.
MISTAKE = "WRONG: int = SPELLINGS\n"


def share(domain: Path, name: str) -> Path:
    """A new source in a domain's folder that takes its labels from a module beside it."""
    folder = scaffold(name, domain.name, domain).folder
    (domain / "terms.py").write_text(TERMS)
    path = folder / "source.py"
    head, future, rest = path.read_text().partition("from __future__ import annotations\n")
    before, label, after = rest.partition('unit.facts["label"]')
    assert label and "translate(" in before.splitlines()[-1]
    use = f"SPELLINGS.get({label}, {label})"
    lines = (head, future, "from ..terms import SPELLINGS\n", before, use, after)
    path.write_text("".join(lines))
    return folder


def outside(site: Path) -> tuple[Path, str, str]:
    metadata = site / "lab-1.0.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: lab\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[qoqdata.sources]\nlab = lab_sources\n")
    return site / "lab_sources", "lab_sources", "lab_sources"


def shipped(site: Path, *, wheel: bool) -> tuple[Path, str, str]:
    """Our own packages as they lie in a checkout or in an installed wheel."""
    inside = site / "qoqdata" if wheel else site
    no_cache = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "qoqdata", site / "qoqdata", ignore=no_cache)
    for name in ("schemas", "converters"):
        folder = shipped_folder(name)  # type: ignore[arg-type]
        shutil.copytree(folder, inside / name, ignore=no_cache, dirs_exist_ok=True)
    package = "qoqdata.converters" if wheel else "converters"
    return inside / "converters", "qoqdata.converters", package


LAYOUTS = {
    "outside": outside,
    "checkout": lambda site: shipped(site, wheel=False),
    "wheel": lambda site: shipped(site, wheel=True),
}


@pytest.mark.parametrize(
    "layout",
    ["outside", *(pytest.param(name, marks=pytest.mark.slow) for name in ("checkout", "wheel"))],
)
def test_a_relative_import_between_converters(tmp_path: Path, layout: str) -> None:
    site = tmp_path / "site"
    converters, module, package = LAYOUTS[layout](site)
    domain = converters / "fundus"
    domain.mkdir(parents=True, exist_ok=True)
    folder = share(domain, "lab_fundus")
    environment = os.environ | {"PYTHONPATH": f"{site}{os.pathsep}{REPOSITORY}"}

    def run(*command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *command], env=environment, cwd=site, capture_output=True, text=True
        )

    # One worker is a spawned process, which finds source and shared module by their names.
    out, salt = tmp_path / "set", tmp_path / "salt"
    salt.write_text("ab" * 32)
    build = ("lab_fundus", "--raw", str(folder / "example" / "raw"), "--out", str(out))
    settings = ("--workers", "1", "--salt-file", str(salt))
    done = run("-c", "from qoqdata.cli.main import run; run()", "build", *build, *settings)
    assert done.returncode == 0, done.stdout + done.stderr
    answers = pl.scan_parquet(out / "data" / "**" / "*.parquet").select("answer").collect()
    assert set(answers["answer"]) == {"Abnormal"}

    # It is this copy that ran, and the names are the documented ones.
    code = "from qoqdata.sources import catalogue; s = catalogue.find_source('lab_fundus')"
    done = run("-c", f"{code}; print(s.module, s.folder, s.code_digest)")
    name, place, digest = done.stdout.split()
    assert (name, Path(place)) == (f"{module}.fundus.lab_fundus.source", folder)

    # The shared module is part of what a build depends on.
    (domain / "terms.py").write_text(TERMS + "# changed\n")
    done = run("-c", f"{code}; print(s.code_digest)")
    assert done.stdout.strip() not in ("", digest)

    if layout == "wheel":
        return  # A checker sees it as it sees any package.
    (folder / "source.py").write_text((folder / "source.py").read_text() + MISTAKE)
    check = ("--follow-imports=skip", "--ignore-missing-imports", "--config-file=")
    done = run("-m", "mypy", *check, f"--cache-dir={tmp_path}", "-p", f"{package}.fundus")
    # Shipped sources of the domain lie beside it, and are checked with the project's settings.
    lines = [line for line in done.stdout.splitlines() if ": error:" in line]
    (line,) = [line for line in lines if "lab_fundus" in line]
    assert 'expression has type "dict[str, str]", variable has type "int"' in line


def test_shipped_sources_have_their_domain_as_parent() -> None:
    source = catalogue.find_source("ptb_xl")
    assert source.module == "qoqdata.converters.ecg.ptb_xl.source"
    code = sys.modules[source.module]
    assert code.__package__ == "qoqdata.converters.ecg.ptb_xl"
    domain = sys.modules["qoqdata.converters.ecg"]
    assert list(domain.__path__) == [str(shipped_folder("converters") / "ecg")]
