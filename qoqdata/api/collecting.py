"""Functions about collections: published sets of sources."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from qoqdata.collection.survey import Survey


def is_collection(config: str | Path) -> bool:
    """Whether `config` names a shipped collection: a file of that name goes before it."""
    from qoqdata.collection.collection import shipped_collections

    return str(config) in shipped_collections() and not Path(config).is_file()


def survey(name: str, *, raw: str | Path) -> Survey:
    """Which sources of the shipped collection `name` lie below `raw`, and which are missing.

    Raises UsageError for a name that is not shipped, where `raw` is no folder, and where two
    folders hold one source.
    """
    from qoqdata.collection.collection import load_collection, shipped_collections
    from qoqdata.collection.survey import take_stock
    from qoqdata.sources import catalogue

    if name not in shipped_collections():
        fix = f"shipped are: {', '.join(shipped_collections())}"
        raise UsageError(f"no collection is called {name!r}", fix=fix)
    return take_stock(load_collection(name), Path(raw), catalogue.cards())
