"""Closed vocabularies of the contract: domains, roles, modalities, splits, redistribution terms."""

from __future__ import annotations

from typing import Literal

DOMAINS = (
    "chest_xray",
    "mammography",
    "dermoscopy",
    "fundus",
    "pathology",
    "ct",
    "mri",
    "ultrasound",
    "ecg",
    "multimodal",
)

#: What a record of an evaluation source may carry that belongs to none of them. It is no domain of
#: training: in no statistic, rarity, weight or mix.
OTHER_DOMAIN = "other"
RECORD_DOMAINS = (*DOMAINS, OTHER_DOMAIN)

#: What a source is for. Evaluation sources are benchmarks: never trained on, whatever the split.
SourceRole = Literal["training", "evaluation"]

MODALITIES = ("image_2d", "volume_3d", "video", "ecg", "multimodal")

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

#: What a question asks for: one of the task's labels, all of them that hold, one of the record's
#: own options (any text), a number or a grade, boxes, or free text.
TaskKind = Literal["single", "multi", "choice", "number", "boxes", "open"]
TASK_KINDS: tuple[TaskKind, ...] = ("single", "multi", "choice", "number", "boxes", "open")

#: What a source says of a label; one in none of them is unmentioned.
LABEL_STATES = ("asserted", "uncertain", "absent")

#: Whether a region is to be found, or part of the question.
ROLES = ("target", "given")

#: How pixels are stored: the bytes of the file, of bounded size as JPEG, or lossless as they were.
STORED_AS = ("verbatim", "training", "native")

DIGESTS = ("blake3", "sha256")

SEXES = ("female", "male", "other")

ACCESS = ("open", "registered", "agreement", "credentialed", "own")

#: How a fact about a source is known, from the surest: seen in its real files, in its real tables,
#: read in documents or public code, or remembered.
BASES = ("real_files", "real_tables", "documents", "memory")

#: How pixels are stored; `qoqdata.contract.storage` says what each means.
StoragePolicy = Literal["training", "native"]

#: What may leave the building, from the freest to the strictest. `unclear` counts as forbidden.
REDISTRIBUTION = (
    "allowed",
    "attribution",
    "attribution_noncommercial",
    "share_alike_noncommercial",
    "no_derivatives",
    "unclear",
    "forbidden",
)

#: The scorer splits multi-label answers on these, so no label of such a task may contain one.
LABEL_SEPARATORS = (",", " and ", "&", "\n")

#: Joins several labels into one answer.
ANSWER_JOIN = ", "

#: Ages above are reported as this (HIPAA safe harbour, 45 CFR 164.514(b)(2)(i)(C)).
AGE_CAP = 90
