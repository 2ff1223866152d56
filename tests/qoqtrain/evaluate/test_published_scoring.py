"""Benchmarks' figures against what public scoring code gives for the same made-up predictions.

Each case names the repository and the file whose rules its expected values follow; they were worked
out by hand from these rules, and where the authors use scikit-learn confirmed with it. Predictions
are ours. MedEvalKit is read in the copy blackkiring/MedEvalKit, utils/utils.py and the file of the
benchmark beside it. `docs/evaluation.md` says what could not be checked, and where our rules are
stricter.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from qoqdata.errors import BadTable
from qoqtrain.evaluate import Prediction
from qoqtrain.evaluate.benchmarks import benchmark_of, figures, items_of, judge_items, read_items


def scored(name: str, rows: list[dict[str, Any]], responses: list[str | None]) -> dict[str, Any]:
    benchmark = benchmark_of(name)
    items = items_of(rows, benchmark, where="rows")
    given = {item.id: Prediction(response) for item, response in zip(items, responses, strict=True)}
    return figures(judge_items(items, given, benchmark), benchmark)


@pytest.mark.parametrize("name", ["vqa_rad", "path_vqa"])
def test_short_answers_as_medevalkit_scores_them(name: str) -> None:
    """VQA_RAD/VQA_RAD.py, PATH_VQA/PATH_VQA.py: yes or no by which word is there, others by exact
    match; 3 of 5, 2 of 3 closed, 1 of 2 open; the overlap of the last is 2 of 3 words both ways."""
    truths = ("yes", "no", "yes", "left lung", "right lower lobe")
    rows = [{"question": "?", "answer": truth} for truth in truths]
    responses = ["Yes.", "no, it is clear", "no", "Left lung", "the right lobe"]
    found = scored(name, rows, responses)
    assert found["accuracy"] == pytest.approx(3 / 5)
    assert found["closed_accuracy"] == pytest.approx(2 / 3)
    assert found["open_exact_match"] == pytest.approx(1 / 2)
    assert found["open_token_f1"] == pytest.approx((1 + 2 / 3) / 2)


def test_where_a_substring_would_decide_we_are_stricter() -> None:
    """The kit finds "no" inside of "normal" and counts 1; here nothing can be read."""
    found = scored("vqa_rad", [{"answer": "no"}], ["The heart is normal."])
    assert (found["accuracy"], found["unparsable"]) == (0.0, 1.0)


def test_slake_as_medevalkit_scores_it() -> None:
    """SLAKE/SLAKE.py. Its F1 and recall come out under each other's names, so that what it prints
    as f1 is the mean recall (1 and 1/2), and as precision the mean F1 (1 and 2/3)."""
    truths = (("CLOSED", "Yes"), ("CLOSED", "Left"), ("OPEN", "Heart"), ("OPEN", "Left Lung"))
    rows = [
        {"qid": n, "q_lang": "en", "answer_type": kind, "answer": truth}
        for n, (kind, truth) in enumerate(truths)
    ]
    found = scored("slake", rows, ["yes", "left lung", "Heart", "left"])
    assert found["accuracy"] == 0.5
    assert (found["closed_accuracy"], found["open_exact_match"]) == (0.5, 0.5)
    assert found["open_token_recall"] == pytest.approx(3 / 4)
    assert found["open_token_f1"] == pytest.approx(5 / 6)


LETTERED = {
    # Authors: src/MedVInT_TD/test.py of xiaoman-zhang/PMC-VQA, for answers that are a letter.
    "pmc_vqa": {"Choice A": "A:Liver", "Choice B": "B:Kidney", "Choice C": "C:Spleen"},
    "medxpertqa_mm": {"options": {"A": "Liver", "B": "Kidney", "C": "Spleen"}},
}


@pytest.mark.parametrize("name", LETTERED)
def test_letters_as_medevalkit_scores_them(name: str) -> None:
    """PMC_VQA/PMC_VQA.py, MedXpertQA/MedXpertQA.py: a letter, or the words of an option; 3 of 4."""
    column = {"pmc_vqa": "Answer", "medxpertqa_mm": "label"}[name]
    rows = [{**LETTERED[name], "id": n, column: right} for n, right in enumerate("BACC")]
    found = scored(name, rows, ["B", "A", "B", "The answer is C."])
    assert found["accuracy"] == pytest.approx(3 / 4)


def test_omnimedvqa_as_its_authors_score_it() -> None:
    """OpenGVLab/Multi-Modality-Arena MedicalEval/Question-answering_Score/utils/medicalqa.py takes
    the most similar option: of answers in an option's words that option, 2 of 3. Of "Lens opacity"
    it would take Lens; here no option can be read, which is wrong."""
    row = {"option_A": "Retina", "option_B": "Lens", "modality_type": "Fundus Photography"}
    rows = [{**row, "question_id": n, "gt_answer": right} for n, right in enumerate(("Lens",) * 3)]
    assert scored("omnimedvqa_fundus", rows, ["Lens", "Retina", "lens"])["accuracy"] == (
        pytest.approx(2 / 3)
    )
    found = scored("omnimedvqa_fundus", rows[:1], ["Lens opacity"])
    assert (found["accuracy"], found["unparsable"]) == (0.0, 1.0)


def test_gmai_mmbench_as_vlmevalkit_matches_it() -> None:
    """open-compass/VLMEvalKit vlmeval/utils/matching_util.py and GMAIMMBenchDataset: the words of
    one option; a letter, which some versions leave to a judge, is wrong here in all. Overall 2 of
    3, and by "clinical VQA task"."""
    row = {"A": "drusen", "B": "scar", "C": "none", "modality": "Fundus Photography"}
    rows = [
        {**row, "index": 1, "answer": "B", "clinical VQA task": "one"},
        {**row, "index": 2, "answer": "A", "clinical VQA task": "one"},
        {**row, "index": 3, "answer": "A", "clinical VQA task": "two"},
    ]
    found = scored("gmai_mmbench_fundus", rows, ["scar", "A. drusen", "(C)"])
    assert found["accuracy"] == pytest.approx(2 / 3)
    groups = found["groups"]["clinical vqa task"]
    assert (groups["one"]["accuracy"], groups["two"]["accuracy"]) == (1.0, 0.0)


def test_u2_bench_as_its_authors_score_it() -> None:
    """dolphin-sound/u2-bench-evalkit vlmeval/eval_func/cla_eval.py: classes without their case, and
    scikit-learn's macro F1: benign 1/2, malignant 0, normal 1."""
    options = ["normal", "benign", "malignant"]
    truths = ("benign", "malignant", "benign", "normal")
    rows = [{"class_label": truth, "options": options} for truth in truths]
    found = scored("u2_bench_dd", rows, ["benign", "Benign", "malignant", "normal"])
    assert found["accuracy"] == 0.5
    assert found["macro_f1"] == pytest.approx(0.5)


def turns(answer: Any) -> list[dict[str, Any]]:
    return [{"from": "human", "value": "?"}, {"from": "gpt", "value": answer}]


def test_ecgbench_sets_as_its_authors_score_them(tmp_path: Path) -> None:
    """evaluation/evaluate_ecgbench.py of AIMedLab/PULSE (the copies hongdangn/PULSE and
    le7042489-coder/gem): NORM is found in ABNORMAL, and "no idea" is an empty set.

    NORM 2/3 and 7/8; MI 1 and 1; STTC 2/3 and 3/4; CD 2/3 and 7/8; HYP 0 and 3/8; 5 of 25 differ.
    """
    truths = ("NORM", "MI, STTC", "CD", "HYP", "STTC")
    rows = [{"id": f"q{n}", "conversations": turns(text)} for n, text in enumerate(truths)]
    path = tmp_path / "ptb-test.json"
    path.write_text(json.dumps(rows))
    benchmark = benchmark_of("ecgbench_ptb")
    items = read_items(path, benchmark)
    assert [item.right for item in items] == [
        *(("NORM",), ("MI", "STTC"), ("CD",), ("HYP",), ("STTC",))
    ]
    responses = ["NORM", "MI, CD", "ABNORMAL ECG: CD, HYP", "no idea", "STTC"]
    given = {item.id: Prediction(text) for item, text in zip(items, responses, strict=True)}
    found = figures(judge_items(items, given, benchmark), benchmark)
    assert found["authors_macro_f1"] == pytest.approx(0.6)
    assert found["authors_auc"] == pytest.approx(0.775)
    assert found["authors_hamming_loss"] == pytest.approx(0.2)
    # As whole words, NORM has no false positive; what names no label is right about none.
    assert found["macro_f1"] == pytest.approx(2 / 3)
    assert found["balanced_accuracy"] == pytest.approx((7 / 4 + 7 / 12 + 3 / 4 + 3 / 8) / 5)


def test_normal_and_abnormal_of_code15() -> None:
    """The same file, eval_code15_test: ABNORMAL is no NORM, and what follows "Answer:" counts."""
    rows = [{"id": n, "conversations": turns(t)} for n, t in enumerate(("NORM", "ABNORMAL", "ST"))]
    responses = ["Answer: NORM", "NORM? Answer: ABNORMAL", "AF. Answer: ST"]
    found = scored("ecgbench_code15", rows, responses)
    assert (found["authors_macro_f1"], found["authors_auc"]) == (1.0, 1.0)
    assert found["authors_hamming_loss"] == 0.0


def test_ecgbench_choices_and_answers_as_its_authors_score_them() -> None:
    """The same file: extract, of answers that it reads, 2 of 3; eval_ecgqa_test over answers that
    are lists, 2 of 3. It would guess a letter for "unsure"; here that is wrong."""
    rows = [{"id": n, "conversations": turns(text)} for n, text in enumerate(("B. af", "C", "D"))]
    responses = ["B. af", "The correct option is C", "Answer: A"]
    assert scored("ecgbench_csn", rows, responses)["accuracy"] == pytest.approx(2 / 3)
    assert scored("ecgbench_mmmu", rows, ["B", "C", "unsure"])["unparsable"] == pytest.approx(1 / 3)
    lists = (["none"], ["pacemaker", "af"], ["af"])
    rows = [{"id": n, "conversations": turns(answers)} for n, answers in enumerate(lists)]
    found = scored("ecgbench_ecgqa", rows, ["None", "af, pacemaker", "none"])
    assert found["accuracy"] == pytest.approx(2 / 3)


def entries(*scores: float) -> list[dict[str, Any]]:
    return [{"Score": score, "Explanation": "made up"} for score in scores]


def reply(**changes: Any) -> dict[str, Any]:
    """A judge's reply to an interpretation, under the names of the paper."""
    whole = {
        "DiagnosisAccuracy": entries(2, 1, 0),
        "AnalysisCompleteness": entries(1, 1, 0),
        "AnalysisRelevance": entries(2, 1),
        "LeadAssessmentCoverage": entries(*(1,) * 11, 3),
        "LeadAssessmentAccuracy": entries(*(2,) * 6, *(1,) * 3, *(0,) * 3),
        "ECGFeatureGrounding": entries(80),
        "EvidenceBasedReasoning": entries(100),
        "ClinicalDiagnosticFidelity": entries(80),
    }
    return whole | changes


SECOND = {
    "DiagnosisAccuracy": entries(0),
    "AnalysisCompleteness": entries(1),
    "AnalysisRelevance": entries(2),
    "LeadAssessmentCoverage": entries(*(1,) * 6),
    "LeadAssessmentAccuracy": entries(12),
    "GroundedECGUnderstanding": entries(50),
    "EvidenceBasedReasoning": entries(0),
    "RealisticDiagnosticProcess": entries(100),
}
ASKED = [{"id": n, "conversations": turns("a reference")} for n in ("one", "two")]


def test_replies_of_a_judge_are_aggregated_as_its_authors_do() -> None:
    """lanxiang1017/GEM gem_evaluation/process_grounding_scores.ipynb: sums over 12 (at most 12) and
    over 24; of diagnoses, half the mean of scores above 0: 3/4 and 0. The copy le7042489-coder/gem
    has another version, the share of scores above 0: 2/3 and 0."""
    responses = [f"```json\n{json.dumps(reply())}\n```", json.dumps(SECOND)]
    found = scored("ecg_grounding", ASKED, responses)
    expected = {
        "diagnosis_accuracy": 1 / 3,
        "diagnosis_accuracy_graded": 3 / 8,
        "analysis_completeness": 1.5,
        "analysis_relevance": 2.5,
        "lead_coverage": 3 / 4,
        "lead_accuracy": (15 / 24 + 12 / 24) / 2,
        "feature_grounding": 0.65,
        "evidence_based_reasoning": 0.5,
        "diagnostic_fidelity": 0.9,
    }
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert scored("ecg_grounding", ASKED, [responses[0], None])["lead_coverage"] == 0.5


@pytest.mark.parametrize(
    "bad",
    [
        "The interpretation is good.",
        json.dumps(reply())[:-9],
        json.dumps({name: value for name, value in reply().items() if name[:3] != "Ana"}),
        json.dumps(reply(DiagnosisAccuracy=[])),
        json.dumps(reply(EvidenceBasedReasoning=entries(50, 80))),
        json.dumps(reply(LeadAssessmentAccuracy=[{"Score": "2"}])),
        json.dumps(reply(ECGFeatureGrounding=entries(-1))),
        json.dumps(reply(GroundedECGUnderstanding=entries(80))),
        json.dumps(reply(DiagnosisAccuracy=[{"Score": 10**400}])),
    ],
)
def test_a_reply_that_cannot_be_read_is_refused_by_its_record(bad: str) -> None:
    with pytest.raises(BadTable, match="reply for two: the judge's reply cannot be read"):
        scored("ecg_grounding", ASKED, [json.dumps(SECOND), bad])


def test_reports_as_their_judge_scores_them() -> None:
    """evaluation/eval_report.py of lanxiang1017/GEM, taken from PULSE: the mean of a report's
    scores of 0 to 10, then over reports: 7 and 6."""
    first = {"Rhythm": {"Score": 8}, "Conduction": {"Score": 6}}
    second = {"Rhythm": {"Score": 10}, "Conduction": {"Score": 4}, "Language": {"Score": 4}}
    found = scored("ecgbench_report", ASKED, [json.dumps(first), json.dumps(second)])
    assert found["report_score"] == pytest.approx(0.65)
    with pytest.raises(BadTable, match="reply for one"):
        scored("ecgbench_report", ASKED, ["{}", json.dumps(second)])
