"""What the estimator remembers of each domain, what its clusters are fitted to, and its state.

A domain's memory is either bins of success rates, of constant size, or every question as a vector.
Clusters are fitted to it together with the difficulty prior. The state, as plain data, is what
checkpoints hold and ranks compare.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import UsageError
from qoqtrain.drpo.batch import RolloutBatch
from qoqtrain.drpo.clustering.bins import Bins, bin_of, on_grid
from qoqtrain.drpo.clustering.clusters import Evidence
from qoqtrain.drpo.priors import DomainPrior, Priors
from qoqtrain.drpo.settings import DRPOSettings

VERSION = 1


@dataclass(frozen=True)
class Vectors:
    """Every question of one domain: `points` (n, dim) what is clustered, `success_rates` (n,)."""

    points: NDArray[np.float64]
    success_rates: NDArray[np.float64]

    @property
    def n_seen(self) -> int:
        return self.success_rates.size

    def add(self, points: NDArray[np.float64], rates: NDArray[np.float64]) -> Vectors:
        """These questions and then the new ones; raises UsageError when group sizes differ."""
        if self.n_seen and points.shape[1] != self.points.shape[1]:
            raise UsageError(
                f"groups of {points.shape[1]} rollouts after groups of {self.points.shape[1]}",
                where="questions",
                fix="keep the group size, or cluster feature='mean'",
            )
        if not self.n_seen:
            return Vectors(points, rates)
        return Vectors(
            np.concatenate([self.points, points]), np.concatenate([self.success_rates, rates])
        )

    def without_first(self, count: int) -> Vectors:
        return Vectors(self.points[count:], self.success_rates[count:])

    def to_state(self) -> dict[str, Any]:
        return {"points": self.points.tolist(), "means": self.success_rates.tolist()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Vectors:
        rates = np.asarray(state["means"], dtype=np.float64)
        if not rates.size:
            return cls.empty()
        points = np.asarray(state["points"], dtype=np.float64).reshape(rates.size, -1)
        if not (np.isfinite(points).all() and np.isfinite(rates).all()):
            raise ValueError("rewards that are not finite")
        return cls(points, rates)

    @classmethod
    def empty(cls) -> Vectors:
        return cls(np.empty((0, 1)), np.empty(0))


Memory = Bins | Vectors

#: Settings that states of the first version do not have.
_LATER = frozenset({"normalise", "weighting"})


def remember(
    batch: RolloutBatch,
    success_rates: NDArray[np.float64],
    history: Mapping[str, Memory],
    settings: DRPOSettings,
) -> dict[str, Memory]:
    """The memory of each domain of the batch after its questions, `success_rates` (Q,), joined."""
    after: dict[str, Memory] = {}
    for domain, questions in batch.questions_by_domain().items():
        memory = history.get(domain)
        if settings.kmeans == "binned":
            bins = memory if isinstance(memory, Bins) else Bins.empty(settings.bins)
            after[domain] = bins.add(success_rates[questions], settings.half_life_questions)
        else:
            vectors = memory if isinstance(memory, Vectors) else Vectors.empty()
            questions = _in_memory_order(batch, questions, settings)
            width = vectors.points.shape[1] if vectors.n_seen else None
            points = _features(batch, questions, success_rates, width, settings)
            after[domain] = vectors.add(points, success_rates[questions])
    return after


def evidence_of(
    memory: Memory | None,
    prior: DomainPrior,
    settings: DRPOSettings,
    members: NDArray[np.intp] | None = None,
) -> Evidence:
    """What is clustered for one domain: its memory and its prior; no points when both are empty.

    `members` are the points of the batch's questions, from `members_of`.
    """
    members = np.empty(0, dtype=np.intp) if members is None else members
    if isinstance(memory, Vectors):
        if settings.feature != "mean":
            return Evidence(memory.points, memory.success_rates, np.ones(memory.n_seen), members)
        _, prior_rates, prior_weights = prior.bins(settings.bins, settings.strength).points()
        rates = np.concatenate([on_grid(memory.success_rates), prior_rates])
        weights = np.concatenate([np.ones(memory.n_seen), prior_weights])
        return Evidence(rates[:, None], rates, weights, members)
    bins = memory or Bins.empty(settings.bins)
    if prior.mass(settings.strength):
        bins = bins.weighted(prior.bins(settings.bins, settings.strength), bins.retained)
    index, rates, weights = bins.points()
    return Evidence(rates[:, None], rates, weights, np.searchsorted(index, members), bins.scatter())


def members_of(
    batch: RolloutBatch,
    questions: NDArray[np.intp],
    success_rates: NDArray[np.float64],
    memory: Memory,
    settings: DRPOSettings,
) -> NDArray[np.intp]:
    """Where the batch's `questions` (Q_d,) of one domain lie in its memory: bins, or last rows."""
    if isinstance(memory, Bins):
        return bin_of(success_rates[questions], settings.bins)
    arrival = _in_memory_order(batch, questions, settings)
    place = {int(question): i for i, question in enumerate(arrival)}
    first = memory.n_seen - arrival.size
    return np.array([first + place[int(question)] for question in questions])


def _in_memory_order(
    batch: RolloutBatch, questions: NDArray[np.intp], settings: DRPOSettings
) -> NDArray[np.intp]:
    """The published code keeps questions as they came; the others keep the order of the batch."""
    if settings.feature != "raw":
        return questions
    return batch.arrival[np.isin(batch.arrival, questions)]


def _features(
    batch: RolloutBatch,
    questions: NDArray[np.intp],
    success_rates: NDArray[np.float64],
    width: int | None,
    settings: DRPOSettings,
) -> NDArray[np.float64]:
    """(Q_d, dim) feature of each question.

    Groups of different size are compared as distributions: sorted values become the quantile
    function at `width` equal steps (as many as the domain's largest group has, where None),
    whose squared distance is that of Wasserstein-2; for equal sizes these are the sorted values.
    """
    if settings.feature == "mean":
        return success_rates[questions, None]
    spans = [slice(a, a + n) for a, n in zip(batch.starts, batch.sizes, strict=True)]
    if settings.feature == "raw":
        if np.unique(batch.sizes[questions]).size > 1:
            raise UsageError(
                "questions of one domain have different numbers of rollouts",
                where="feature='raw'",
                fix="use feature='sorted' or 'mean', which compare groups of any size",
            )
        return np.stack(
            [batch.success[spans[q]][np.argsort(batch.rows[spans[q]])] for q in questions]
        )
    steps = width or int(batch.sizes[questions].max())
    at = (np.arange(steps) + 0.5) / steps
    return np.stack(
        [np.sort(batch.success[spans[q]])[(at * batch.sizes[q]).astype(int)] for q in questions]
    )


def merge_histories(
    histories: Sequence[Mapping[str, Memory]], base: Mapping[str, Memory]
) -> dict[str, Memory]:
    """The union of several histories by domain; what `base` holds is in each of them, once."""
    union = dict(base)
    for history in histories:
        for domain, memory in history.items():
            union[domain] = _joint(union.get(domain), memory, base.get(domain))
    return union


def _joint(union: Memory | None, memory: Memory, base: Memory | None) -> Memory:
    """`memory` less what `base` holds of it, added to the `union` so far."""
    if isinstance(memory, Bins):
        new = memory.plus(base, sign=-1) if isinstance(base, Bins) else memory
        return union.plus(new) if isinstance(union, Bins) else new
    rest = memory.without_first(base.n_seen) if isinstance(base, Vectors) else memory
    return union.add(rest.points, rest.success_rates) if isinstance(union, Vectors) else rest


def write_state(
    settings: DRPOSettings, domain_key: str, priors: Priors, history: Mapping[str, Memory]
) -> dict[str, Any]:
    """The whole estimator as a dict of plain Python values; JSON keeps every bit of it."""
    return {
        "version": VERSION,
        "settings": _settings_state(settings),
        "domain_key": domain_key,
        "priors": priors.to_state(),
        "history": {domain: history[domain].to_state() for domain in sorted(history)},
    }


def _settings_state(settings: DRPOSettings) -> dict[str, Any]:
    """The settings; those of later versions only where they are set, as earlier ones wrote them."""
    return {
        field.name: value
        for field in fields(DRPOSettings)
        if (value := getattr(settings, field.name)) != field.default or field.name not in _LATER
    }


def read_history(state: Mapping[str, Any], settings: DRPOSettings) -> dict[str, Memory]:
    """The memories of `write_state`; raises UsageError when they are damaged."""
    try:
        return {
            str(domain): Bins.from_state(memory, settings.bins)
            if settings.kmeans == "binned"
            else Vectors.from_state(memory)
            for domain, memory in state["history"].items()
        }
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(f"the history is damaged ({error})", where="DRPO state") from error


def read_settings(state: Mapping[str, Any]) -> DRPOSettings:
    """The settings of `write_state`; raises UsageError for another version or damaged ones."""
    version = state.get("version") if isinstance(state, Mapping) else None
    if version != VERSION:
        raise UsageError(
            f"is of version {version!r}, this is version {VERSION}",
            where="DRPO state",
            fix="load the state with the release that wrote it",
        )
    values = state.get("settings")
    names = {field.name for field in fields(DRPOSettings)}
    if not isinstance(values, Mapping) or not names - _LATER <= set(values) <= names:
        raise UsageError("the settings are damaged", where="DRPO state")
    return DRPOSettings(**values)


def read_domain_key(state: Mapping[str, Any]) -> str:
    """The domain key of `write_state`; raises UsageError when there is none."""
    key = state.get("domain_key")
    if not isinstance(key, str):
        raise UsageError(f"has the domain key {key!r}", where="DRPO state")
    return key


def read_priors(state: Mapping[str, Any]) -> Priors:
    """The priors of `write_state`; raises UsageError when they are damaged."""
    try:
        return Priors.from_state(state["priors"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the priors are damaged ({error})", where="DRPO state") from error


def refuse_other(
    state: Mapping[str, Any], settings: DRPOSettings, domain_key: str, priors: Priors
) -> None:
    """Raise UsageError when `state` was written with other settings, domain key or data."""
    theirs, ours = asdict(read_settings(state)), asdict(settings)
    differences = [
        f"{name} is {theirs[name]!r} there and {ours[name]!r} here"
        for name in ours
        if theirs[name] != ours[name]
    ]
    if (key := read_domain_key(state)) != domain_key:
        differences.append(f"domain_key is {key!r} there and {domain_key!r} here")
    if (digest := read_priors(state).digest) != priors.digest:
        differences.append(f"the data has digest {digest!r} there and {priors.digest!r} here")
    if differences:
        raise UsageError(
            "; ".join(differences),
            where="DRPO state",
            fix="resume with the settings and data of the checkpoint, or start without its state",
        )


def checksum(state: Mapping[str, Any]) -> str:
    """SHA-256 of a state, as hex; equal states have equal checksums whatever their key order."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
