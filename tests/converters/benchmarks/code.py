"""The code of benchmarks' sources, and their jobs."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from qoqdata.sources.catalogue import find_source
from qoqdata.sources.protocol import Job
from qoqdata.sources.rawtree import open_raw

#: The package of all of them.
BENCHMARKS = find_source("pmc_vqa").module.rsplit(".", 2)[0]


def code(slug: str, part: str = "source") -> ModuleType:
    """A module of a source."""
    return importlib.import_module(f"{BENCHMARKS}.{slug}.{part}")


def job_of(slug: str, raw: Path, **options: object) -> Job:
    """The job of a source over `raw`, with its card's options but for those given."""
    card = find_source(slug).card
    defaults = {name: option.default for name, option in card.options.items()}
    return Job(card, open_raw(raw), options=defaults | options)
