"""What the verl adapter reads: the options of its block, and the rows of a batch.

verl stores one row for each output of an agent session under the key "{uid}_{session}_{output}".
All outputs of a session share its reward, so only the last one counts in a group; rows that fill
the batch up to a multiple carry the tag `is_padding` and a uid of their own that starts with "pad".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import qoqdata
from qoqdata.errors import UsageError
from qoqtrain.drpo import DEFAULT_PRESET, DRPO

OPTIONS = ("dataset", "priors", "preset", "domain_key", "domain_column", "settings")


@dataclass(frozen=True)
class Sessions:
    """S sessions, rollouts in the sense of DRPO, behind the B rows of a batch.

    `last` (S,) row of each session's last output; `questions` (S,) its uid, the question;
    `session` (B,) session of each row, -1 for padding.
    """

    last: NDArray[np.intp]
    questions: tuple[str, ...]
    session: NDArray[np.intp]

    def spread(self, advantages: NDArray[np.float64]) -> NDArray[np.float64]:
        """(B,) the advantage of each row's session, from (S,); 0 for padding."""
        return np.append(advantages, 0.0)[self.session]


def sessions_of(keys: Sequence[str], tags: Sequence[Mapping[str, Any]]) -> Sessions:
    """The sessions behind the rows named by `keys` (B,) with `tags` (B,), in any order.

    Groups may be ragged: a rollout that failed has no row. Raises UsageError for a key that is
    not of verl's form.
    """
    index: dict[tuple[str, str], int] = {}
    last: list[int] = []
    outputs: list[int] = []
    session = np.full(len(keys), -1)
    for row, (key, tag) in enumerate(zip(keys, tags, strict=True)):
        uid, rollout, output = _parts(key)
        if tag.get("is_padding", False) or uid.startswith("pad"):
            continue
        at = index.setdefault((uid, rollout), len(last))
        session[row] = at
        if at == len(last):
            last.append(row)
            outputs.append(output)
        elif output > outputs[at]:
            last[at], outputs[at] = row, output
    questions = tuple(uid for uid, _ in index)
    return Sessions(np.array(last, dtype=np.intp), questions, session)


def _parts(key: str) -> tuple[str, str, int]:
    uid, _, rest = key.rpartition("_")
    uid, _, rollout = uid.rpartition("_")
    if not (uid and rollout and rest.isdecimal()):
        raise UsageError(
            f"the row {key!r} is not named uid_session_output", where="TransferQueue key"
        )
    return uid, rollout, int(rest)


def drpo_of(options: Mapping[str, Any]) -> tuple[DRPO, str]:
    """The estimator that `options` describe, and the column of the rows that names their domain.

    `dataset` folder of a qoqdata set, whose statistics are the priors; `priors` domain -> record
    count, in place of them; `preset` (default "budget"); `domain_key` (default "domain");
    `domain_column` (default: the domain key); `settings` field -> value. Without data set and
    priors it starts knowing nothing. Raises UsageError for unknown options or values, DatasetError
    for a data set without statistics.
    """
    if unknown := sorted(options.keys() - set(OPTIONS)):
        raise UsageError(
            f"unknown DRPO options: {', '.join(unknown)}",
            fix=f"the options are {', '.join(OPTIONS)}",
        )
    preset = options.get("preset") or DEFAULT_PRESET
    domain_key = options.get("domain_key") or "domain"
    settings = options.get("settings") or {}
    column = options.get("domain_column") or domain_key
    dataset, priors = options.get("dataset"), options.get("priors")
    if dataset is None and priors is None:
        return DRPO.preset(preset, domain_key=domain_key, **settings), column
    stats = None if dataset is None else qoqdata.open(dataset).stats
    return DRPO.from_stats(stats, domain_key, preset, priors=priors, **settings), column
