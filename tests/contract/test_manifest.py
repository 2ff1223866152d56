"""What the entry of a source tells of its build."""

from __future__ import annotations

import pytest

from qoqdata.contract.manifest import Counts, SourceEntry
from qoqdata.contract.storage import Storage

_NUMBERS = ("units", "converted", "quarantined", "filtered", "records", "annotation_only")
_NOTHING = dict.fromkeys(_NUMBERS, 0)


def entry(*, refused: str | None = None, **counts: int) -> SourceEntry:
    return SourceEntry(
        converter="films",
        version=1,
        domain="chest_xray",
        licence="internal",
        redistribution="forbidden",
        card_digest="0" * 64,
        code_digest="0" * 64,
        options={},
        storage=Storage(),
        limit=None,
        refused=refused,
        counts=Counts(**_NOTHING | counts, by_split={}),
        max_quarantine=0.25,
    )


@pytest.mark.parametrize(
    ("one", "outcome", "failure", "share"),
    [
        (entry(units=4, quarantined=1, records=3), "done", None, 0.25),
        (entry(units=3, quarantined=1, records=2), "findings", None, 1 / 3),
        (entry(units=4, records=4), "done", None, 0.0),
        (entry(units=4, quarantined=4), "failed", "none of its 4 units gave a record", 1.0),
        (entry(), "failed", "none of its 0 units gave a record", 0.0),
        (entry(refused="no table"), "failed", "no table", 0.0),
        (entry(refused="no table", units=4, records=4), "failed", "no table", 0.0),
    ],
)
def test_outcome(one: SourceEntry, outcome: str, failure: str | None, share: float) -> None:
    assert (one.outcome, one.failure, one.quarantined_share) == (outcome, failure, share)
