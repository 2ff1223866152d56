"""The suite that every source keeps, for all that are registered here."""

from __future__ import annotations

import pytest

from qoqdata.suite.checks import *  # noqa: F403
from qoqdata.suite.extent import SAMPLE, WHOLE, Extent


@pytest.fixture(params=[SAMPLE, pytest.param(WHOLE, marks=pytest.mark.slow)], ids=["some", "all"])
def qoqdata_extent(request: pytest.FixtureRequest) -> Extent:
    """What makes the suite of a source long is tried in part, and in whole where it may be."""
    return request.param
