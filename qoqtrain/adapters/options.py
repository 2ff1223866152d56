"""A DRPO estimator from the options of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import qoqdata
from qoqdata.errors import UsageError
from qoqtrain.drpo import DRPO

OPTIONS = ("dataset", "priors", "preset", "domain_key", "domain_column", "settings")


def drpo_of(options: Mapping[str, Any]) -> tuple[DRPO, str]:
    """The estimator that `options` describe, and the column of the rows that names their domain.

    `dataset` folder of a qoqdata set, whose statistics are the priors; `priors` domain -> record
    count, in place of them; `preset` (default "streaming"); `domain_key` (default "domain");
    `domain_column` (default: the domain key); `settings` field -> value. Without data set and
    priors it starts knowing nothing. Raises UsageError for unknown options or values, DatasetError
    for a data set without statistics.
    """
    if unknown := sorted(options.keys() - set(OPTIONS)):
        raise UsageError(
            f"unknown DRPO options: {', '.join(unknown)}",
            fix=f"the options are {', '.join(OPTIONS)}",
        )
    preset = options.get("preset") or "streaming"
    domain_key = options.get("domain_key") or "domain"
    settings = options.get("settings") or {}
    column = options.get("domain_column") or domain_key
    dataset, priors = options.get("dataset"), options.get("priors")
    if dataset is None and priors is None:
        return DRPO.preset(preset, domain_key=domain_key, **settings), column
    stats = None if dataset is None else qoqdata.open(dataset).stats
    return DRPO.from_stats(stats, domain_key, preset, priors=priors, **settings), column
