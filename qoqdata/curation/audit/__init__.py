"""What is wrong with labels: without looking at images, answers that text or file facts give away,
splits whose answers differ, texts of different studies that are nearly the same; with a look at
them, answers that are likely wrong."""

from __future__ import annotations

from qoqdata.curation.audit.across_sources import CONTRADICTIONS
from qoqdata.curation.audit.alike_texts import ALIKE_TEXTS
from qoqdata.curation.audit.answerers import ANSWERERS
from qoqdata.curation.audit.audit import Audit, ProbedLabels, read_answerers, run_audit
from qoqdata.curation.audit.giveaways import GIVEAWAYS
from qoqdata.curation.audit.held_out import HELD_OUT
from qoqdata.curation.audit.label_errors import LABEL_ERRORS
from qoqdata.curation.audit.prevalence import PREVALENCE, compare_prevalence, unlikely_in_whole
from qoqdata.curation.audit.shift import SHIFTS

__all__ = [
    "ALIKE_TEXTS",
    "ANSWERERS",
    "CONTRADICTIONS",
    "GIVEAWAYS",
    "HELD_OUT",
    "LABEL_ERRORS",
    "PREVALENCE",
    "SHIFTS",
    "Audit",
    "ProbedLabels",
    "compare_prevalence",
    "read_answerers",
    "run_audit",
    "unlikely_in_whole",
]
