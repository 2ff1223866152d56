"""From a request to a job: the source's card, options, mapping and raw tree, all checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qoqdata.errors import UsageError
from qoqdata.pipeline.config import SourceRequest
from qoqdata.readers.limits import Limits
from qoqdata.settings import load_mapping
from qoqdata.sources.card import settle_options
from qoqdata.sources.protocol import Job, Source
from qoqdata.sources.rawtree import open_raw


def make_job(source: Source, request: SourceRequest, *, limits: Limits) -> Job:
    """The job of a request; raises UsageError for anything that does not fit."""
    card, mapping = source.card, None
    given = _mapping(request)
    if source.configure is not None:
        if given is None:
            fix = "pass --mapping FILE; `qoqdata sources " + card.slug + "` shows an example"
            raise UsageError("needs a mapping", where=f"source {card.slug}", fix=fix)
        card, mapping = source.configure(card, given)
    elif given is not None:
        raise UsageError("takes no mapping", where=f"source {card.slug}", fix="leave it out")
    raw = open_raw(request.raw, request.mounts)
    options = settle_options(source.card, request.options)
    return Job(card, raw, options, mapping, limits)


def _mapping(request: SourceRequest) -> Mapping[str, Any] | None:
    if isinstance(request.mapping, Path):
        return load_mapping(request.mapping)
    return request.mapping
