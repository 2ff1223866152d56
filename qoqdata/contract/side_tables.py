"""Side tables keyed by unit or record id: quarantine, verdicts, difficulty.

Version 1 of the difficulty table called the success rate `mean`;
`qoqdata.statistics.difficulty` reads both.
"""

from __future__ import annotations

from qoqdata.contract.types import (
    BOOL,
    FLOAT32,
    FLOAT64,
    INT32,
    STRING,
    Field,
    ListOf,
    Scalar,
    Table,
)

VERSION = 1
DIFFICULTY_VERSION = 2

STAGES = ("plan", "convert", "validate")
OUTCOMES = ("quarantined", "filtered")

QUARANTINE = Table(
    "quarantine",
    VERSION,
    "Units that gave no record, each with its reason. Local: it names raw keys and paths.",
    (
        Field("source", STRING, "source"),
        Field("unit", STRING, "raw unit key"),
        Field("raw", ListOf(STRING), "raw paths relative to the raw root"),
        Field("outcome", Scalar("string", OUTCOMES), "failed, or left out by a stated rule"),
        Field("stage", Scalar("string", STAGES), "where it happened"),
        Field("reason", STRING, "stable code"),
        Field("error", STRING, "error class", nullable=True),
        Field("message", STRING, "what, where and how to fix"),
        Field("converter_version", STRING, "version of the converter"),
    ),
)

VERDICTS = Table(
    "verdicts",
    VERSION,
    "What curation decided, by record.",
    (
        Field("id", STRING, "record id"),
        Field("keep", BOOL, "whether the record stays"),
        Field("rule", STRING, "curation rule"),
        Field("reason", STRING, "why"),
        Field("evidence", STRING, "for example the id that it duplicates", nullable=True),
    ),
)

DIFFICULTY = Table(
    "difficulty",
    DIFFICULTY_VERSION,
    "How well one policy answers each question.",
    (
        Field("id", STRING, "record id"),
        Field("rewards", ListOf(FLOAT32), "one a rollout; empty for a prior"),
        Field("success_rate", FLOAT64, "mean reward: 0 hard, 1 easy"),
        Field("n_rollouts", INT32, "0 for a prior"),
        Field("policy", STRING, "the policy, or the name of the prior"),
        Field("scorer", STRING, "how rewards were given"),
    ),
)

TABLES = (QUARANTINE, VERDICTS, DIFFICULTY)
