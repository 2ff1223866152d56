"""Statistics tables, version 3: what training reads to set the DRPO scaling weights.

Questions, studies, patients and images are counted apart. Share, rarity and prevalence count
studies, so that they do not depend on how many questions an author writes about one. Versions 1
and 2 counted questions alone; their tables are refused, with the command that writes them anew.
"""

from __future__ import annotations

from qoqdata.contract.types import FLOAT64, INT32, INT64, STRING, Field, Scalar, Table
from qoqdata.contract.vocabulary import LABEL_STATES, SPLITS

VERSION = 3

_COUNTS = (
    Field("n_records", INT64, "questions: kept training records that show the policy something"),
    Field("n_studies", INT64, "distinct studies that they ask about"),
    Field("n_patients", INT64, "distinct patients among them", nullable=True),
    Field(
        "n_images",
        INT64,
        "images, of each study the most that one of its questions shows: what several questions"
        " show counts once; less than all where each shows others",
    ),
    Field("share", FLOAT64, "n_studies over the sum of it"),
    Field("rarity", FLOAT64, "sqrt(N / (D * n)): N the sum of n_studies, D groups, n in this one"),
    Field(
        "label_entropy",
        FLOAT64,
        "bits over the labels of the group, each as often as studies assert it",
        nullable=True,
    ),
    Field(
        "imbalance_ratio",
        FLOAT64,
        "studies of the most frequent label over those of the least frequent",
        nullable=True,
    ),
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
    (
        Field("key", STRING, "source"),
        Field("domain", STRING, "its domain; of several that of most of its records"),
        *_COUNTS,
        *_SUCCESS,
    ),
)

LABELS = Table(
    "labels",
    VERSION,
    "Label counts by source and task.",
    (
        Field("source", STRING, "source"),
        Field("domain", STRING, "its domain"),
        Field("task", STRING, "task"),
        Field("label", STRING, "option, or a label that a question asserts, doubts or denies"),
        Field("n_train", INT64, "kept training questions that assert it"),
        Field("n_validation", INT64, "kept validation questions that assert it"),
        Field("n_test", INT64, "kept test questions that assert it"),
        Field("n_uncertain", INT64, "kept questions, any split, that mark it uncertain"),
        Field("n_absent", INT64, "kept questions, any split, that deny it"),
        Field("n_train_studies", INT64, "distinct studies behind n_train"),
        Field("n_validation_studies", INT64, "distinct studies behind n_validation"),
        Field("n_test_studies", INT64, "distinct studies behind n_test"),
        Field(
            "prevalence",
            FLOAT64,
            "n_train_studies over the task's training studies",
            nullable=True,
        ),
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

CONCEPTS = Table(
    "concepts",
    VERSION,
    "Counts by concept, where a table of concepts was asked for, and of labels that have none.",
    (
        Field("table", STRING, "name of the table that says what labels stand for"),
        Field("digest", STRING, "sha256 of its content"),
        Field("concept", STRING, "null for a label without one", nullable=True),
        Field("system", STRING, "coding system of the code", nullable=True),
        Field("code", STRING, "code of the concept", nullable=True),
        Field("label", STRING, "the label without a concept", nullable=True),
        Field("domain", STRING, "its domain"),
        Field("source", STRING, "its source; null: all of the domain together", nullable=True),
        Field("split", Scalar("string", SPLITS), "the split of the questions"),
        Field("state", Scalar("string", LABEL_STATES), "what the questions say of it"),
        Field("n_records", INT64, "kept questions that say so"),
        Field("n_studies", INT64, "distinct studies of them"),
        Field("n_patients", INT64, "distinct patients among them", nullable=True),
    ),
)

#: What every data set with statistics has; `CONCEPTS` is there where it was asked for.
TABLES = (DOMAINS, SOURCES, LABELS, CLUSTERS)
