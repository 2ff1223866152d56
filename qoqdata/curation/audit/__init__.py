"""What is wrong with labels, found without looking at images: answers that text or file facts give
away, splits whose answers differ, texts of different
studies that are nearly the same."""

from __future__ import annotations

from qoqdata.curation.audit.alike_texts import ALIKE_TEXTS
from qoqdata.curation.audit.answerers import ANSWERERS
from qoqdata.curation.audit.audit import Audit, read_answerers, run_audit
from qoqdata.curation.audit.giveaways import GIVEAWAYS
from qoqdata.curation.audit.shift import SHIFTS

__all__ = [
    "ALIKE_TEXTS",
    "ANSWERERS",
    "GIVEAWAYS",
    "SHIFTS",
    "Audit",
    "read_answerers",
    "run_audit",
]
