"""How much the suite tries of each source."""

from __future__ import annotations

from typing import NamedTuple


class Extent(NamedTuple):
    """Damages tried on all tables together, media files of which every damage is tried, and units
    of a simulated tree."""

    table_damages: int
    media_files: int
    units: int


WHOLE = Extent(table_damages=48, media_files=4, units=50)
#: For a run over many sources, as often as one likes.
SAMPLE = Extent(table_damages=12, media_files=2, units=20)
