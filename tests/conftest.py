"""Before the first test: few threads, no deadlines. And the optional folder of real files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Test workers times BLAS threads on two cores takes minutes where one thread takes seconds.
# Read by NumPy and torch when they are first imported, and inherited by child processes.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

# How long an example takes says something about the machine's load and nothing about the code.
settings.register_profile(
    "suite",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("suite")


#: Fixtures that take long to make, once a process: who wants one goes where it is.
COSTLY = ("warm", "demo", "mixed", "built", "varied", "clips", "editable", "installed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a costly fixture run in one worker."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        for name in COSTLY:
            if name in names:
                item.add_marker(pytest.mark.xdist_group(name))
                break


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Root of the real files: $QOQDATA_REALDATA, or `shared/realdata` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "realdata"
    root = Path(os.environ.get("QOQDATA_REALDATA", beside))
    if not (root / "MANIFEST.tsv").is_file():
        pytest.skip(f"no real files at {root}; set QOQDATA_REALDATA to run this test")
    return root
