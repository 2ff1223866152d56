"""Engines that are absent or of another release, and engines that must not be imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from qoqdata.errors import UsageError
from qoqtrain.adapters import releases
from qoqtrain.adapters.releases import require_release


@pytest.mark.parametrize(
    ("installed", "fits"),
    [("1.16.0", True), ("1.16.3.post1", True), ("1.17.0", False), ("1.1.16", False), ("2", False)],
)
def test_another_release_is_refused(
    monkeypatch: pytest.MonkeyPatch, installed: str, fits: bool
) -> None:
    monkeypatch.setattr(releases, "version", lambda _: installed)
    if fits:
        require_release("trl", "1.16")
        return
    with pytest.raises(UsageError, match=f"trl: version {installed} is .* tested with 1.16"):
        require_release("trl", "1.16")


def test_an_absent_engine_is_named() -> None:
    with pytest.raises(UsageError, match=r"no-such-engine: is not installed.*==1\.16\.\*"):
        require_release("no-such-engine", "1.16")


def test_the_package_itself_imports_no_engine() -> None:
    modules = ("agreement", "host", "metrics", "options", "releases", "sessions")
    code = "; ".join(f"import qoqtrain.adapters.{name}" for name in modules)
    code += "; import sys; print(sorted({'torch', 'trl', 'verl'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
