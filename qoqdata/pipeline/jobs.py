"""Jobs: what a request asks of a source, with its raw tree opened and its mapping read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qoqdata.contract.card import Card
from qoqdata.contract.storage import Storage
from qoqdata.errors import UsageError
from qoqdata.pipeline.config import BuildConfig, BuildSetting, SourceRequest
from qoqdata.pipeline.faults import machine_fault
from qoqdata.pipeline.interrupts import is_persons
from qoqdata.readers.limits import Limits
from qoqdata.settings import load_mapping
from qoqdata.sources.card import settle_options
from qoqdata.sources.protocol import Job, Source
from qoqdata.sources.rawtree import open_raw


def storage_of(
    request: SourceRequest, job: Job, config: BuildConfig, setting: BuildSetting
) -> Storage:
    """How a source's pixels are stored: the first that says so, from the command to the card."""
    mapping: Storage | None = getattr(job.mapping, "storage", None)
    asked = (setting.overrides.storage, mapping, request.storage, config.storage, job.card.storage)
    return next((storage for storage in asked if storage is not None), Storage())


def max_quarantine_of(request: SourceRequest, config: BuildConfig, setting: BuildSetting) -> float:
    """The share of a source's units that may be in quarantine: the first that says one."""
    asked = (setting.overrides.max_quarantine, request.max_quarantine)
    return next((share for share in asked if share is not None), config.max_quarantine)


def make_job(source: Source, request: SourceRequest, *, limits: Limits) -> Job:
    """The job of a request; raises UsageError for anything that does not fit."""
    settings = mapping_of(request)
    job = _unconfigured_job(source, request, limits)
    where = f"source {source.card.slug}"
    if source.configure is None:
        if settings is not None:
            raise UsageError("takes no mapping", where=where, fix="leave it out")
        return job
    if settings is None:
        fix = f"pass --mapping FILE; `qoqdata sources {source.card.slug}` shows an example"
        raise UsageError("needs a mapping", where=where, fix=fix)
    card, mapping = source.configure(source.card, settings)
    raw = job.raw.ignoring(getattr(mapping, "ignore", ()))
    return replace(job, card=card, raw=raw, mapping=mapping)


def job_or_fault(
    source: Source, request: SourceRequest, limits: Limits
) -> tuple[Job, BaseException | None]:
    """The job; where the converter itself cannot configure it, one to be refused, and why.

    What a user got wrong is told before anything is built: UsageError passes through.
    """
    try:
        return make_job(source, request, limits=limits), None
    except UsageError:
        raise
    except BaseException as error:
        # A disk that fails is no fault of the source.
        if is_persons(error) or machine_fault(error) is not None:
            raise
        job = _unconfigured_job(source, request, limits)
        # It is to be refused under the name that it would have had.
        slug = (mapping_of(request) or {}).get("slug")
        try:
            card = Card.model_validate(job.card.model_dump() | {"slug": slug})
        except ValidationError:
            card = job.card
        return replace(job, card=card), error


def _unconfigured_job(source: Source, request: SourceRequest, limits: Limits) -> Job:
    raw = open_raw(request.raw, request.mounts, request.inventory)
    return Job(source.card, raw, settle_options(source.card, request.options), None, limits)


def mapping_of(request: SourceRequest) -> Mapping[str, Any] | None:
    """The content of the request's mapping, from its file where it names one."""
    if isinstance(request.mapping, Path):
        return load_mapping(request.mapping)
    return request.mapping
