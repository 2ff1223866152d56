"""Benchmarks that a language model judges: its replies, read and aggregated, and no stand-in.

What is scored are the judge's replies, one a record: whoever ran the judge keeps its name, its date
and its prompt. A reply that cannot be read is refused, since leaving it out would change the mean.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from qoqdata.errors import BadTable
from qoqtrain.evaluate.benchmarks.readings import Item, Reading
from qoqtrain.rewards.object_list import NotJSON, strict_json

_FENCE = re.compile(r"```[a-z]{0,8}\s*(.+?)```", re.DOTALL | re.IGNORECASE)
_FIX = "ask the judge again, or mend the reply by hand"

#: Criteria of ECG-Grounding whose scores are one an element, and those that have one score from 0
#: to 100, by the names of the paper; the prompt of the repository has another name for two.
ELEMENTS = (
    "DiagnosisAccuracy",
    "AnalysisCompleteness",
    "AnalysisRelevance",
    "LeadAssessmentCoverage",
    "LeadAssessmentAccuracy",
)
WHOLE = ("ECGFeatureGrounding", "EvidenceBasedReasoning", "ClinicalDiagnosticFidelity")
OTHER_NAMES = {
    "GroundedECGUnderstanding": "ECGFeatureGrounding",
    "RealisticDiagnosticProcess": "ClinicalDiagnosticFidelity",
}
_LEADS = 12


def grounding(response: str, item: Item) -> Reading:
    """What the judge of ECG-Grounding says of one interpretation.

    Measures, 0 to 1 but for the two sums: `diagnosis_accuracy`, the share of diagnoses with a score
    above 0; `diagnosis_accuracy_graded`, half the mean of the scores above 0 (the authors' notebook
    has had both); `analysis_completeness` and `analysis_relevance`, sums; `lead_coverage`, the sum
    of at most 12 over 12; `lead_accuracy`, the sum over 24; and the three criteria of 0 to 100.
    `given` is None for a reply that lacks a criterion or a score.
    """
    reply = _object(response)
    if reply is None:
        return Reading(None, False)
    named = {OTHER_NAMES.get(str(name), str(name)): value for name, value in reply.items()}
    scores = {name: _scores(named.get(name)) for name in (*ELEMENTS, *WHOLE)}
    if any(found is None for found in scores.values()) or len(named) < len(reply):
        return Reading(None, False)
    own = {name: found for name, found in scores.items() if found is not None}
    if any(len(own[name]) != 1 or own[name][0] > 100 for name in WHOLE):
        return Reading(None, False)
    right = [score for score in own["DiagnosisAccuracy"] if score > 0]
    measures = {
        "diagnosis_accuracy": len(right) / len(own["DiagnosisAccuracy"]),
        "diagnosis_accuracy_graded": sum(right) / len(right) / 2 if right else 0.0,
        "analysis_completeness": sum(own["AnalysisCompleteness"]),
        "analysis_relevance": sum(own["AnalysisRelevance"]),
        "lead_coverage": min(sum(own["LeadAssessmentCoverage"]), _LEADS) / _LEADS,
        "lead_accuracy": sum(own["LeadAssessmentAccuracy"]) / (2 * _LEADS),
        "feature_grounding": own["ECGFeatureGrounding"][0] / 100,
        "evidence_based_reasoning": own["EvidenceBasedReasoning"][0] / 100,
        "diagnostic_fidelity": own["ClinicalDiagnosticFidelity"][0] / 100,
    }
    return Reading(("judged",), False, measures)


GROUNDING = (
    *("diagnosis_accuracy", "diagnosis_accuracy_graded", "analysis_completeness"),
    *("analysis_relevance", "lead_coverage", "lead_accuracy", "feature_grounding"),
    *("evidence_based_reasoning", "diagnostic_fidelity"),
)


def report_score(response: str, item: Item) -> Reading:
    """What the judge of ECGBench says of a report: the mean of its scores of 0 to 10, over 10."""
    reply = _object(response)
    found = [_scores([value]) for value in (reply or {}).values()]
    if not found or any(scores is None or scores[0] > 10 for scores in found):
        return Reading(None, False)
    values = [scores[0] for scores in found if scores is not None]
    return Reading(("judged",), False, {"report_score": sum(values) / len(values) / 10})


def refuse_unread(item: Item, reading: Reading) -> None:
    """Raise BadTable, which names the record, for a judge's reply that cannot be read."""
    if reading.given is None:
        what = (
            "the judge's reply cannot be read: a criterion or a score is missing, or it is no JSON"
        )
        raise BadTable(what, where=f"reply for {item.id}", fix=_FIX)


def _object(response: str) -> Mapping[str, Any] | None:
    bodies = [response.strip(), *(body.strip() for body in _FENCE.findall(response))]
    for body in bodies:
        try:
            value = strict_json(body)
        except NotJSON:
            continue
        if isinstance(value, Mapping):
            return value
    return None


def _scores(entries: Any) -> tuple[float, ...] | None:
    """The scores of a criterion's entries {Score, Explanation}; None for none, and for odd ones."""
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        return None
    scores = []
    for entry in entries:
        score = entry.get("Score") if isinstance(entry, Mapping) else None
        if isinstance(score, bool) or not isinstance(score, int | float):
            return None
        if not 0 <= score <= 1000:
            return None
        scores.append(float(score))
    return tuple(scores)
