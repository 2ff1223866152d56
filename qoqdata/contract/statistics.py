"""Statistics tables, version 2: what training reads to set the DRPO scaling weights.

Version 1 called success rates `mu` and `mu_variance`; `qoqdata.statistics.tables` reads both.
"""

from __future__ import annotations

from qoqdata.contract.types import FLOAT64, INT32, INT64, STRING, Field, Scalar, Table

VERSION = 2

_COUNTS = (
    Field("n_records", INT64, "kept training records that show the policy something"),
    Field("n_patients", INT64, "distinct patients among them", nullable=True),
    Field("n_images", INT64, "images among them"),
    Field("share", FLOAT64, "n_records over all training records"),
    Field("rarity", FLOAT64, "sqrt(N / (D * n)): N records, D groups, n in this group"),
    Field("label_entropy", FLOAT64, "bits over the labels of the group", nullable=True),
    Field("imbalance_ratio", FLOAT64, "most frequent label over the least frequent", nullable=True),
)

_SUCCESS = (
    Field("success_rate", FLOAT64, "mean reward of the policy: 0 hard, 1 easy", nullable=True),
    Field("success_rate_variance", FLOAT64, "variance over the questions", nullable=True),
    Field("n_questions", INT64, "questions behind the success rate"),
    Field("n_rollouts", INT64, "rollouts behind it; null for a prior", nullable=True),
    Field("policy", STRING, "the policy, or the name of the prior", nullable=True),
    Field("scorer", STRING, "how rewards were given", nullable=True),
)

DOMAINS = Table(
    "domains",
    VERSION,
    "Rarity and success rate by clinical domain.",
    (Field("key", STRING, "domain"), *_COUNTS, *_SUCCESS),
)

SOURCES = Table(
    "sources",
    VERSION,
    "Rarity and success rate by source.",
    (Field("key", STRING, "source"), Field("domain", STRING, "its domain"), *_COUNTS, *_SUCCESS),
)

LABELS = Table(
    "labels",
    VERSION,
    "Label counts by source and task.",
    (
        Field("source", STRING, "source"),
        Field("domain", STRING, "its domain"),
        Field("task", STRING, "task"),
        Field("label", STRING, "option"),
        Field("n_train", INT64, "kept training records that assert it"),
        Field("n_validation", INT64, "kept validation records that assert it"),
        Field("n_test", INT64, "kept test records that assert it"),
        Field("n_uncertain", INT64, "kept records, any split, that mark it uncertain"),
        Field("prevalence", FLOAT64, "n_train over the task's training records", nullable=True),
        Field(
            "success_rate",
            FLOAT64,
            "mean reward of the training questions that assert it",
            nullable=True,
        ),
    ),
)

CLUSTERS = Table(
    "clusters",
    VERSION,
    "Success rates of questions within a domain or source: bins of width 1/64 that hold some.",
    (
        Field("level", Scalar("string", ("domain", "source")), "what key names"),
        Field("key", STRING, "domain or source"),
        Field("cluster", INT32, "bin number, 0 to 63"),
        Field("centre", FLOAT64, "mean of the success rates in the bin"),
        Field("count", INT64, "questions in the bin"),
        Field("variance", FLOAT64, "variance of the success rates in the bin"),
    ),
)

TABLES = (DOMAINS, SOURCES, LABELS, CLUSTERS)
