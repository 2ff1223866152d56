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
# .ci/full asks for the profile with more examples; a test that needs a number of its own says it.
for profile, examples in (("suite", 25), ("whole", 100)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        derandomize="CI" in os.environ,
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile("suite")


#: Folders whose tests share what takes long to make, such as a policy that was taught to answer.
TOGETHER = ("tests/qoqtrain/trainer/", "tests/qoqtrain/data/", "tests/publication/")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Under `-n`, the tests of a file run in one worker, and so do those of a folder above."""
    if config.getoption("dist") != "load":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Rooms(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return next((folder for folder in TOGETHER if file.startswith(folder)), file)

    return Rooms(config, log)


@pytest.fixture(scope="session")
def realdata() -> Path:
    """Root of the real files: $QOQDATA_REALDATA, or `shared/realdata` beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "realdata"
    root = Path(os.environ.get("QOQDATA_REALDATA", beside))
    if not (root / "MANIFEST.tsv").is_file():
        pytest.skip(f"no real files at {root}; set QOQDATA_REALDATA to run this test")
    return root
