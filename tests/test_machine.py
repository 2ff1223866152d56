"""The tests say the same on a machine under load: one BLAS thread, and no deadlines."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import settings

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
CODE = """
import numpy, scipy.linalg, threadpoolctl
print(max(pool["num_threads"] for pool in threadpoolctl.threadpool_info()))
"""


def test_threads_are_bounded_here_and_in_children() -> None:
    assert all(name in os.environ for name in VARIABLES)
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert int(done.stdout) == int(os.environ["OPENBLAS_NUM_THREADS"])


def test_examples_have_no_deadline() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert settings.default.derandomize == ("CI" in os.environ)
