"""The benchmarks that can be scored, and how each is: one row a benchmark.

Those that a language model judges are scored by the judge's own replies, never by a stand-in.
"""

from __future__ import annotations

from dataclasses import dataclass

from qoqdata.errors import UsageError
from qoqtrain.evaluate.benchmarks.judged import grounding, report_score
from qoqtrain.evaluate.benchmarks.readings import (
    Rule,
    answer_set,
    choice,
    choices,
    closed_or_open,
    label,
    label_set,
)

_ANSWERS = ("answer", "Answer", "answers")


@dataclass(frozen=True)
class Benchmark:
    """One benchmark.

    rule           reads a response and compares it; None where scores are ranked
    figures        names in `figures.FIGURES`
    answers        columns of the right answer, the first that is given
    labels         the labels of every question, where the file does not list options
    label_columns  the right labels are the label columns that hold 1
    several        a text of the answer column is a list with commas
    needs_options, by_letter   what the right answer must be: an option, given by its letter
    only           (column, case-folded value) of the questions that count
    groups         columns by which figures are repeated
    source         slug of the source that builds it, where that is not its name
    domain, task, options   of the records that count, where a data set is asked: their domain,
                   their task, and what the source was to be built with
    listed         only cases that the card of the source lists for a benchmark count
    file_only      why a data set cannot be asked, but the benchmark's own file alone
    judged         predictions are the replies of a judge to the answers of a policy
    note           what a reader of the figures must know
    """

    name: str
    title: str
    rule: Rule | None
    figures: tuple[str, ...]
    answers: tuple[str, ...] = _ANSWERS
    labels: tuple[str, ...] = ()
    label_columns: bool = False
    several: bool = False
    needs_options: bool = False
    by_letter: bool = False
    only: tuple[str, str] | None = None
    groups: tuple[str, ...] = ()
    note: str = ""
    source: str | None = None
    domain: str | None = None
    task: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    listed: bool = False
    file_only: str = ""
    judged: bool = False


def _open(
    name: str,
    title: str,
    note: str,
    only: tuple[str, str] | None = None,
    options: tuple[tuple[str, str], ...] = (),
) -> Benchmark:
    figures = ("accuracy", "closed_and_open")
    return Benchmark(name, title, closed_or_open, figures, only=only, note=note, options=options)


def _choice(
    name: str,
    title: str,
    note: str,
    *,
    answers: tuple[str, ...] = _ANSWERS,
    only: tuple[str, str] | None = None,
    groups: tuple[str, ...] = (),
    source: str | None = None,
    domain: str | None = None,
) -> Benchmark:
    return Benchmark(
        name, title, choice, ("accuracy",), answers, source=source, domain=domain,
        needs_options=True, by_letter=True, only=only, groups=groups, note=note,
    )  # fmt: skip


def _sets(part: str, labels: tuple[str, ...]) -> Benchmark:
    figures = ("accuracy", "macro_f1", "balanced_accuracy", "hamming_loss", "authors_sets")
    return Benchmark(
        f"ecgbench_{part}", f"ECGBench {part}", label_set, figures,
        labels=labels, several=True, needs_options=True, source="ecgbench", task=part,
        note="labels as whole words; authors_ are labels by substring, as the authors count them,"
        " and what they call AUC is balanced accuracy",
    )  # fmt: skip


def _lettered(part: str, letters: str) -> Benchmark:
    return Benchmark(
        f"ecgbench_{part}", f"ECGBench {part}", choice, ("accuracy",), labels=tuple(letters),
        needs_options=True, by_letter=True, source="ecgbench", task=part,
        note="no guess where no letter is read, as the authors make one",
    )  # fmt: skip


def _ranked(
    name: str,
    title: str,
    labels: tuple[str, ...],
    note: str,
    *,
    source: str,
    task: str | None = None,
    listed: bool = False,
    file_only: str = "",
) -> Benchmark:
    return Benchmark(
        name, title, None, ("macro_auroc",), labels=labels, label_columns=True,
        note=f"from scores, one a label; {note}",
        source=source, task=task, listed=listed, file_only=file_only,
    )  # fmt: skip


_CSN = (
    "AQW", "UW", "SR", "WPW", "2AVB", "AT", "VB", "ARS", "STTC", "SA", "STE", "VPB", "TWO", "STTU",
    "ALS", "APB", "2AVB1", "PRIE", "CCR", "CR", "AF", "AVB", "QTIE", "LBBB", "VEB", "SVT", "RBBB",
    "1AVB", "STDD", "MI", "AFIB", "TWC", "PWC", "ERV", "RVH", "LVH", "ST", "JEB",
)  # fmt: skip

_TABLE = (
    _open(
        "slake",
        "SLAKE, English",
        "the English test part has 1,061 questions",
        only=("q_lang", "en"),
        options=(("language", "en"),),
    ),
    _open("vqa_rad", "VQA-RAD", "train and test share images; say so when fine-tuned on it"),
    _open("path_vqa", "PathVQA", "many questions were made by rules from captions"),
    _choice(
        "pmc_vqa",
        "PMC-VQA",
        "say which of test, test_2 and test_clean is used; chance is 25 %",
        answers=("Answer_label", "Answer", "answer"),
    ),
    _choice(
        "medxpertqa_mm",
        "MedXpertQA, multimodal",
        "up to six images a question; chance is 20 %",
        answers=("label",),
        groups=("medical_task", "question_type", "body_system"),
    ),
    _choice(
        "omnimedvqa_fundus",
        "OmniMedVQA, fundus photography",
        "no training part: leave out sources that were trained on",
        answers=("gt_answer",),
        only=("modality_type", "fundus photography"),
        groups=("dataset", "question_type"),
        source="omnimedvqa",
        domain="fundus",
    ),
    Benchmark(
        "gmai_mmbench_fundus", "GMAI-MMBench VAL, fundus photography", choices, ("accuracy",),
        needs_options=True, by_letter=True, only=("modality", "fundus photography"),
        groups=("clinical vqa task", "department", "perceptual granularity"),
        note="exact letters, without a judge model", source="gmai_mmbench", domain="fundus",
    ),
    Benchmark(
        "funbench", "FunBench, one task file", choices, ("accuracy", "sens_spec_hmean"),
        needs_options=True, by_letter=True,
        note="sens_spec_hmean is what its authors call F1, of one task file (--questions); average"
        " tasks, then levels",
    ),
    Benchmark(
        "u2_bench_dd", "U2-Bench, disease diagnosis", label, ("accuracy", "macro_f1"),
        ("class_label",), needs_options=True, groups=("dataset_name", "anatomy_location"),
        note="unparsable answers are wrong, its authors leave them out",
    ),
    _lettered("csn", "ABCDEFGH"),
    _lettered("g12", "ABCDEFGH"),
    _lettered("mmmu", "ABCD"),
    Benchmark(
        "ecgbench_ecgqa", "ECGBench ecgqa", answer_set, ("accuracy",), several=True,
        source="ecgbench", task="ecgqa",
        note="whole answers are compared, its authors compare sets of characters",
    ),
    _sets("ptb", ("NORM", "MI", "STTC", "CD", "HYP")),
    _sets("cpsc", ("NORM", "AF", "I-AVB", "LBBB", "RBBB", "PAC", "PVC", "STD", "STE")),
    _sets("code15", ("1dAVb", "RBBB", "LBBB", "SB", "ST", "AF", "NORM", "ABNORMAL")),
    Benchmark(
        "ecgbench_report", "ECGBench report, judged", report_score, ("report_score",),
        source="ecgbench", task="report", judged=True,
        note="predictions are the judge's replies; missing ones count as 0",
    ),
    Benchmark(
        "ecg_grounding", "ECG-Grounding, judged", grounding, ("grounding",),
        task="interpretation", judged=True,
        note="predictions are the judge's replies; missing ones count as 0; completeness and"
        " relevance are sums, all else 0 to 1",
    ),
    _ranked(
        "ptbxl_superclass",
        "PTB-XL diagnostic superclass, fold 10",
        ("HYP", "NORM", "MI", "CD", "STTC"),
        "its split is that of the release",
        source="ptb_xl",
        task="diagnosis",
    ),
    _ranked(
        "csn",
        "CSN, MERL split",
        _CSN,
        "its labels hold false positives, set by substring",
        source="chapman_shaoxing",
        file_only="its labels are in chapman_test.csv of MERL-ICML2024, and the card of"
        " chapman_shaoxing has only the recordings of that file",
    ),
    _ranked(
        "cpsc2018_cls",
        "CPSC2018, MERL split",
        ("AFIB", "VPC", "NORM", "1AVB", "CRBBB", "STE", "PAC", "CLBBB", "STD"),
        "published figures mix three splits",
        source="cpsc2018",
        task="findings",
        listed=True,
    ),
)  # fmt: skip

BENCHMARKS: dict[str, Benchmark] = {benchmark.name: benchmark for benchmark in _TABLE}


def benchmark_of(name: str) -> Benchmark:
    """The benchmark of that name; raises UsageError for an unknown one."""
    if name not in BENCHMARKS:
        raise UsageError(
            f"there are no rules {name!r}", fix=f"choose one of {', '.join(BENCHMARKS)}"
        )
    return BENCHMARKS[name]
