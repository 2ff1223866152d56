"""What is known of each domain before the first rollout: its counts and its success rate."""

from __future__ import annotations

import hashlib
import json
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qoqdata.errors import BadTable, DuplicateKey, UsageError
from qoqtrain.drpo.clustering.bins import Bins, bin_of
from qoqtrain.drpo.settings import Rarity

if TYPE_CHECKING:
    import polars as pl

# The statistics keep success rates in bins of 1/64; a rate that is further than this from the mean
# of its own clusters comes from another policy or another set of questions.
RATE_TOLERANCE = 1 / 64

COLUMNS = ("key", "n_records", "n_studies", "success_rate", "n_questions")
CLUSTER_COLUMNS = ("level", "key", "centre", "count", "variance")


class Statistics(Protocol):
    """The tables of a data set that training starts from (`qoqdata.open(...).stats`)."""

    @property
    def domains(self) -> pl.DataFrame: ...
    @property
    def sources(self) -> pl.DataFrame: ...
    @property
    def clusters(self) -> pl.DataFrame: ...
    @property
    def digest(self) -> str: ...


@dataclass(frozen=True)
class DomainPrior:
    """Prior of one domain.

    `n_records` rows of the curated data, one a question, None when not counted; `n_studies` that
    they ask about, None where only records were counted; `success_rate` mean reward in
    [0, 1] of a policy on its questions, 0 hard to 1 easy, None when none has been run;
    `n_questions` behind it, 0 when it comes from a formula; `histogram` (centre, count, variance)
    of the questions' success rates, bin by bin, empty when only their mean is known; `n_draws` see
    `drawn`; `policy` whose success rate it is, as the statistics name it.
    """

    n_records: int | None = None
    success_rate: float | None = None
    n_questions: int = 0
    histogram: tuple[tuple[float, float, float], ...] = ()
    n_studies: int | None = None
    n_draws: float | None = None
    policy: str | None = None

    def count(self, rarity: Rarity) -> float | None:
        """The size that N_d stands for, None when not counted.

        Rarity "prior" counts studies, so that it does not depend on how many questions an author
        writes about one; "seen", as published, counts questions; "draws" what a sampler makes of
        them, and studies where no sampler has told.
        """
        if rarity == "draws" and self.n_draws is not None:
            return self.n_draws
        return self.n_records if rarity == "seen" else self.n_studies or self.n_records

    def mass(self, strength: float) -> float:
        """Questions that this prior counts for: `strength`, but never more than were asked."""
        if self.success_rate is None:
            return 0.0
        return min(strength, float(self.n_questions)) if self.n_questions else strength

    def bins(self, bins: int, strength: float) -> Bins:
        """The histogram in `bins` bins, scaled to the mass of the prior.

        Counted together with n questions seen, it makes every statistic the posterior mean of a
        Dirichlet process with this histogram as its base and the mass as its concentration:
        (mass * prior + n * seen) / (mass + n), for the share, the mean and the clusters alike.
        """
        mass = self.mass(strength)
        if self.success_rate is None or mass == 0:
            return Bins.empty(bins)
        histogram = np.array(self.histogram or ((self.success_rate, 1.0, 0.0),))
        centre, count, variance = histogram.T
        weight = mass * count / count.sum()
        where = bin_of(centre, bins)
        offset = centre - (where + 0.5) / bins

        def tally(weights: NDArray[np.float64]) -> NDArray[np.float64]:
            return np.bincount(where, weights=weights, minlength=bins).astype(float)

        square = variance + offset**2
        return Bins(tally(weight), tally(weight * offset), tally(weight * square))

    def to_state(self) -> dict[str, Any]:
        """The fields under the names of saved states, where the success rate is `mu`.

        Studies that were not counted are left out, as in states of earlier versions.
        """
        optional = {"n_studies": self.n_studies, "n_draws": self.n_draws, "policy": self.policy}
        known = {name: value for name, value in optional.items() if value is not None}
        return {
            "n_records": self.n_records,
            "mu": self.success_rate,
            "n_questions": self.n_questions,
            "histogram": self.histogram,
            **known,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> DomainPrior:
        return cls(
            state["n_records"],
            state["mu"],
            state["n_questions"],
            tuple((float(a), float(b), float(c)) for a, b, c in state["histogram"]),
            state.get("n_studies"),
            state.get("n_draws"),
            state.get("policy"),
        )


@dataclass(frozen=True)
class Priors:
    """The priors of all domains, and the digest of the data they were counted on."""

    domains: Mapping[str, DomainPrior] = field(default_factory=dict)
    digest: str = ""

    def to_state(self) -> dict[str, Any]:
        domains = {key: self.domains[key].to_state() for key in sorted(self.domains)}
        return {"digest": self.digest, "domains": domains}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Priors:
        domains = state["domains"].items()
        return cls({key: DomainPrior.from_state(prior) for key, prior in domains}, state["digest"])


def drawn(priors: Priors, sampled: Mapping[str, float], target: Mapping[str, float]) -> Priors:
    """The priors of a run whose sampler draws each domain with the probability `sampled`, and in
    which it is to have the share `target` of the attention.

    N_d is then the draws that stand for each part of the target, N sampled_d / (D target_d), N the
    studies of all D domains: weights of 1 / N_d times the draws give the target, so what the
    sampler has corrected is not corrected again. With equal targets N_d is the domain's draws in N.
    Raises UsageError for a domain that is drawn and has no target.
    """
    total = float(sum(prior.n_studies or prior.n_records or 0 for prior in priors.domains.values()))
    domains = dict(priors.domains)
    for domain, share in sampled.items():
        if share <= 0:
            continue
        if not target.get(domain, 0.0) > 0:
            raise UsageError(f"{domain!r} is drawn and has no target", where="budget")
        n = (total or 1.0) * share / (len(sampled) * target[domain])
        domains[domain] = replace(domains.get(domain, DomainPrior()), n_draws=n)
    facts = [priors.digest, sorted(sampled.items()), sorted(target.items())]
    return Priors(domains, hashlib.sha256(json.dumps(facts).encode()).hexdigest())


def read_statistics(stats: Statistics, level: str) -> Priors:
    """Priors from the tables of a data set, one domain per key of `level` ("domain" | "source").

    A key without a success rate has no difficulty prior, one without records no count. Raises
    BadTable for a missing column, a null key, a value out of range, or a success rate that its own
    clusters contradict; DuplicateKey for a key listed twice.
    """
    table = {"domain": stats.domains, "source": stats.sources}[level]
    name = f"stats.{level}s"
    rows = _rows(table, COLUMNS, name)
    histograms: dict[str, list[tuple[float, float, float]]] = {}
    for row in _rows(stats.clusters, CLUSTER_COLUMNS, "stats.clusters"):
        if row["level"] == level and row["count"]:
            histograms.setdefault(row["key"], []).append(_bin(row))
    policies = dict(table.select("key", "policy").iter_rows()) if "policy" in table.columns else {}
    domains: dict[str, DomainPrior] = {}
    for row in rows:
        if row["key"] in domains:
            raise DuplicateKey(f"the key {row['key']!r} is listed twice", where=name)
        histogram = tuple(sorted(histograms.get(row["key"], [])))
        domains[row["key"]] = _checked(
            DomainPrior(
                row["n_records"] or None,
                row["success_rate"],
                row["n_questions"] or 0,
                histogram if row["success_rate"] is not None else (),
                row["n_studies"] or None,
                policy=policies.get(row["key"]),
            ),
            f"{name}, key {row['key']}",
        )
    return Priors(domains, stats.digest)


def read_mapping(priors: Mapping[Any, Any], digest: str = "") -> Priors:
    """Priors by hand: domain -> record count, or -> the fields of a DomainPrior.

    `mu` is an older name of the field `success_rate`. Raises UsageError for anything else. The
    digest covers the values and `digest`.
    """
    domains: dict[str, DomainPrior] = {}
    for key, value in priors.items():
        try:
            domains[str(key)] = _checked(_prior_of(value), "the prior")
        except (BadTable, TypeError, ValueError) as error:
            raise UsageError(
                f"{value!r} is no prior ({error})",
                where=f"priors[{key!r}]",
                fix="pass a record count, or n_records, n_studies, success_rate, n_questions and"
                " histogram by name",
            ) from error
    text = json.dumps([digest, Priors(domains).to_state()], sort_keys=True)
    return Priors(domains, hashlib.sha256(text.encode()).hexdigest())


def _prior_of(value: Any) -> DomainPrior:
    if isinstance(value, DomainPrior):
        return value
    if isinstance(value, Mapping):
        histogram = tuple(
            (float(centre), float(count), float(variance))
            for centre, count, variance in value.get("histogram", ())
        )
        values = {"success_rate" if name == "mu" else name: value[name] for name in value}
        if len(values) < len(value):
            raise TypeError("mu and success_rate are one field")
        return DomainPrior(**{**values, "histogram": histogram})
    if isinstance(value, bool):
        raise TypeError("a count is a whole number")
    return DomainPrior(n_records=operator.index(value))


def _rows(table: pl.DataFrame, columns: Iterable[str], where: str) -> list[dict[str, Any]]:
    if missing := [name for name in columns if name not in table.columns]:
        raise BadTable(f"lacks {', '.join(missing)}", where=where, fix="run `qoqdata stats` again")
    rows = table.select(list(columns)).to_dicts()
    if any(row["key"] is None for row in rows):
        raise BadTable("a row has no key", where=where, fix="run `qoqdata stats` again")
    return rows


def _bin(row: Mapping[str, Any]) -> tuple[float, float, float]:
    bad = row["centre"] is None or not 0 <= row["centre"] <= 1 or row["count"] < 0
    if bad or (row["variance"] or 0.0) < 0:
        raise BadTable(f"has the impossible cluster {dict(row)}", where="stats.clusters")
    return float(row["centre"]), float(row["count"]), float(row["variance"] or 0.0)


def _checked(prior: DomainPrior, where: str) -> DomainPrior:
    if prior.n_records is not None and prior.n_records < 1:
        raise BadTable(f"counts {prior.n_records} records", where=where)
    if prior.n_studies is not None and not 1 <= prior.n_studies <= (prior.n_records or 0):
        raise BadTable(
            f"counts {prior.n_studies} studies of {prior.n_records} records", where=where
        )
    if prior.n_questions < 0:
        raise BadTable(f"counts {prior.n_questions} questions", where=where)
    rate = prior.success_rate
    if rate is None:
        return prior
    if not 0 <= rate <= 1:
        raise BadTable(f"has success_rate = {rate}, which lies in [0, 1]", where=where)
    if prior.histogram:
        centre, count, _ = np.array(prior.histogram).T
        mean = float(centre @ count / count.sum())
        if abs(mean - rate) > RATE_TOLERANCE:
            raise BadTable(
                f"has success_rate = {rate:.4f}, but its clusters have the mean {mean:.4f}",
                where=where,
                fix="run `qoqdata stats` again on one set of rollouts",
            )
    return prior
