"""The function that says what a build will take before it is begun."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoqdata.errors import UsageError
from qoqdata.progress import ProgressCallback, silent

if TYPE_CHECKING:
    from qoqdata.contract.storage import Storage
    from qoqdata.contract.vocabulary import StoragePolicy
    from qoqdata.estimation.estimate import BuildEstimate
    from qoqdata.pipeline.config import BuildConfig


def estimate(
    sources: str | Sequence[str] | None = None,
    *,
    raw: str | Path | None = None,
    config: BuildConfig | Mapping[str, Any] | str | Path | None = None,
    mapping: Mapping[str, Any] | str | Path | None = None,
    options: Mapping[str, Any] | None = None,
    storage: Storage | StoragePolicy | Mapping[str, Any] | None = None,
    patient_splits: Mapping[str, str | Path] | None = None,
    workers: int | Sequence[int] = 1,
    seconds: float = 10.0,
    work: str | Path | None = None,
    progress: ProgressCallback = silent,
) -> BuildEstimate:
    """What the build of the same arguments will take: CPU time, bytes, and time by the clock.

        qoqdata.estimate(config="qoq_med", raw="/data", workers=[64, 1000])

    Each source is planned whole, and units of it that take about `seconds` of CPU are built in a
    passing folder below `work` (by default that of the system), which is removed. `workers` are
    one or several numbers of processes to tell the time by the clock for. Intervals hold what the
    choice of units leaves open, at 95 %; that disk, network and cores are as free later as now is
    taken for granted.

    Raises UsageError for what a build would not begin with, too.
    """
    from qoqdata.api.building import requested_build
    from qoqdata.estimation.estimate import estimate_build
    from qoqdata.estimation.sample import draw_sample
    from qoqdata.pipeline.config import BuildSetting, Overrides
    from qoqdata.records.identity import SALT_BYTES, Salt
    from qoqdata.settings import checked
    from qoqdata.sources import catalogue

    counts = [workers] if isinstance(workers, int) else list(workers)
    if not counts or min(counts) < 0:
        raise UsageError(f"{workers} is no number of processes", where="workers", fix="0 or more")
    if not seconds > 0:
        raise UsageError(f"{seconds} is no time", where="seconds", fix="name more than 0")
    request = requested_build(sources, raw, config, mapping, options, patient_splits, None)
    overrides = checked(Overrides, {"storage": storage}, where="command line")
    requests = [(catalogue.find_source(one.source), one) for one in request.sources]
    # Nothing of the sample is kept, so it needs no key of the site's.
    setting = BuildSetting(Salt(secrets.token_bytes(SALT_BYTES)), overrides=overrides)
    if work is not None and not Path(work).is_dir():
        raise UsageError("is no folder", where=str(work), fix="name one with some space")
    with tempfile.TemporaryDirectory(prefix="qoqdata-estimate-", dir=work) as folder:
        sample = draw_sample(
            requests, request, setting, Path(folder), seconds=seconds, listen=progress
        )
    return estimate_build(sample, counts)
