"""The rules of published benchmarks, on answers worked out by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qoqtrain.cli
from qoqdata.errors import BadTable, DuplicateKey, MissingFile, UsageError
from qoqtrain.evaluate import Prediction
from qoqtrain.evaluate.benchmarks import (
    BENCHMARKS,
    Item,
    benchmark_of,
    figures,
    items_of,
    judge_items,
    read_items,
)
from qoqtrain.evaluate.benchmarks.figures import corpus_bleu
from qoqtrain.evaluate.benchmarks.readings import answer_text, letters_of, token_recall, yes_no

OPTIONS = ("Edema", "Lung mass", "No finding", "Pneumonia")


def scored(name: str, rows: list[dict[str, Any]], responses: list[str | None]) -> dict[str, Any]:
    """The figures of responses to the questions of `rows`, in their order."""
    benchmark = benchmark_of(name)
    items = items_of(rows, benchmark, where="rows")
    given = {item.id: Prediction(response) for item, response in zip(items, responses, strict=True)}
    return figures(judge_items(items, given, benchmark), benchmark)


@pytest.mark.parametrize(
    ("answer", "letters"),
    [
        ("B", ("B",)),
        ("(b)", ("B",)),
        ("B. Lung mass", ("B",)),
        ("b) anything", ("B",)),
        ("The answer is B.", ("B",)),
        ("Final answer: (D) Pneumonia", ("D",)),
        ("lung  mass", ("B",)),
        ("**No finding**", ("C",)),
        ("A, C", ("A", "C")),
        ("c and a", ("A", "C")),
        ("A mass in the lung", None),
        ("mass", None),
        ("E", None),
        ("A, F", None),
        ("Edema or pneumonia", None),
        ("", None),
    ],
)
def test_option_letters(answer: str, letters: tuple[str, ...] | None) -> None:
    assert letters_of(answer, OPTIONS) == letters


@pytest.mark.parametrize(
    ("response", "text"),
    [
        ("<think>B</think> so \\boxed{A}", "A"),
        ("<think>A</think> C", "C"),
        ("C", "C"),
        ("<think>perhaps A", None),
        ("it is \\boxed{A", None),
        ("", None),
    ],
)
def test_where_the_answer_stands(response: str, text: str | None) -> None:
    assert answer_text(response) == text


@pytest.mark.parametrize(
    ("response", "given", "correct"),
    [
        ("No, the heart is normal.", ("no",), True),
        ("\\boxed{NO}", ("no",), True),
        ("Yes", ("yes",), False),
        ("The heart is normal.", None, False),
        ("not enlarged, a nodule", None, False),
        ("yes and no", None, False),
    ],
)
def test_yes_and_no_are_words(response: str, given: tuple[str, ...] | None, correct: bool) -> None:
    assert yes_no(response, Item("1", ("No",)))[:2] == (given, correct)


def test_overlaps_by_hand() -> None:
    assert token_recall("the left lower lobe", "left lobe lobe") == pytest.approx(2 / 3)
    assert token_recall("anything", "") == 0.0
    # 2 of 3 words; then 2 of 4, with 4 words for 5: brevity exp(1 - 5/4).
    pair = ("the left lung", "Left lung lobe.")
    assert corpus_bleu([pair], 1) == pytest.approx(2 / 3)
    both = corpus_bleu([pair, ("yes", "left kidney")], 1)
    assert both == pytest.approx(0.5 * math.exp(-0.25))
    # Bigrams of the pair: "left lung" of two; sqrt(2/3 * 1/2).
    assert corpus_bleu([pair], 2) == pytest.approx(math.sqrt(1 / 3))
    assert corpus_bleu([pair], 3) == 0.0
    assert corpus_bleu([], 1) is None


def test_closed_and_open_are_counted_apart() -> None:
    rows = [
        {"qid": 1, "q_lang": "en", "answer_type": "CLOSED", "answer": "Yes"},
        {"qid": 2, "q_lang": "en", "answer_type": "CLOSED", "answer": "Left"},
        {"qid": 3, "q_lang": "zh", "answer_type": "OPEN", "answer": "肺"},
        {"qid": 4, "q_lang": "en", "answer_type": "OPEN", "answer": "Left lung lobe"},
        {"qid": 5, "q_lang": "en", "answer_type": "OPEN", "answer": "Heart"},
    ]
    found = scored("slake", rows, ["yes", "the left one", "the left lung", "\\boxed{heart.}"])
    assert found["records"] == 4 and found["closed_records"] == 2
    assert found["accuracy"] == 0.5
    assert found["closed_accuracy"] == 0.5
    assert found["open_exact_match"] == 0.5
    assert found["open_token_recall"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["open_token_f1"] == pytest.approx((2 / 3 + 1) / 2)
    assert found["open_bleu_1"] == pytest.approx(3 / 4)


def test_without_a_mark_yes_and_no_are_closed() -> None:
    rows = [{"question": "?", "answer": answer} for answer in ("yes", "No", "chest")]
    found = scored("vqa_rad", rows, ["yes", None, "no"])
    assert found["closed_accuracy"] == 0.5 and found["open_exact_match"] == 0.0
    assert (found["missing"], found["unparsable"]) == (1, 0.0)


def test_what_cannot_be_read_is_wrong_and_counted() -> None:
    row = {"Question": "?", "Choice A": " A:Edema ", "Choice B": "B:Mass", "Answer": "B"}
    rows = [{**row, "index": index} for index in range(5)]
    found = scored("pmc_vqa", rows, ["B", "mass", "It could be A or B", "A", None])
    assert found["accuracy"] == pytest.approx(2 / 5)
    assert found["missing"] == 1 and found["unparsable"] == pytest.approx(1 / 4)


def test_options_and_groups_as_published() -> None:
    row = {
        "question": "?",
        "options": [{"letter": x, "content": t} for x, t in zip("ABCD", OPTIONS, strict=True)],
    }
    rows = [
        {**row, "id": "MM-1", "label": "D", "medical_task": "Diagnosis"},
        {**row, "id": "MM-2", "label": "A", "medical_task": "Treatment"},
    ]
    found = scored("medxpertqa_mm", rows, ["\\boxed{D}", "\\boxed{B}"])
    assert found["groups"]["medical_task"]["Diagnosis"]["accuracy"] == 1.0
    assert found["groups"]["medical_task"]["Treatment"]["accuracy"] == 0.0
    omni = {"option_A": "Retina", "option_B": "Lens", "gt_answer": "Lens"}
    rows = [
        {**omni, "question_id": "a", "modality_type": "Fundus photography"},
        {**omni, "question_id": "b", "modality_type": "CT"},
    ]
    assert scored("omnimedvqa_fundus", rows, ["B"])["accuracy"] == 1.0


def test_sensitivity_and_specificity_of_sets_of_letters() -> None:
    rows = [
        {"id": index, "answer": right, "options": ["x", "y"]} for index, right in enumerate("AAAB")
    ]
    found = scored("funbench", rows, ["A", "A", "B", "B"])
    # A: 2/3 and 1; B: 1 and 2/3; both have the harmonic mean 0.8.
    assert found["sens_spec_hmean"] == pytest.approx(0.8)
    assert found["sensitivity"] == pytest.approx(5 / 6)
    # The same answers with letters that change: right are x, x, x and y.
    orders = ["xy", "yx", "xy", "xy"]
    rows = [
        {"id": n, "answer": right, "options": list(order)}
        for n, (order, right) in enumerate(zip(orders, "ABAB", strict=True))
    ]
    found = scored("funbench", rows, ["A", "B", "B", "B"])
    assert found["sens_spec_hmean"] == pytest.approx(0.8)
    # z is offered once, and named where it is not right: no sensitivity, so no class.
    rows.append({"id": 9, "answer": "A", "options": ["x", "z"]})
    found = scored("funbench", rows, ["A", "B", "B", "B", "B"])
    # x: 2 of 4 and 1: 2/3. y: 1 and 2 of 3: 0.8.
    assert found["sens_spec_hmean"] == pytest.approx((2 / 3 + 0.8) / 2)
    assert scored("funbench", [{"answer": "A", "options": ["A", "B"]}], ["A"])[
        "sens_spec_hmean"
    ] is None  # fmt: skip
    several = [{"id": 1, "answer": "A,C", "options": ["x", "y", "z"]}]
    assert scored("funbench", several, ["C, A"])["accuracy"] == 1.0
    assert scored("funbench", several, ["A"])["accuracy"] == 0.0


def test_a_label_in_json_and_no_denominator_without_the_unparsable() -> None:
    rows = [
        {"class_label": right, "options": ["benign", "malignant"]}
        for right in ("benign", "benign", "malignant")
    ]
    responses: list[str | None] = [
        '```json\n{"label": "Benign"}\n```',
        '{"label": "malignant"}',
        "?",
    ]
    found = scored("u2_bench_dd", rows, responses)
    assert found["accuracy"] == pytest.approx(1 / 3)
    # benign: 1 hit, 1 missed: 2/3; malignant: 1 extra, 1 missed: 0.
    assert found["macro_f1"] == pytest.approx(1 / 3)
    assert found["unparsable"] == pytest.approx(1 / 3)


def test_label_sets_are_whole_words() -> None:
    rows = [{"answer": "MI, STTC"}, {"answer": ["NORM"]}]
    found = scored("ecgbench_ptb", rows, ["\\boxed{MI and CD}", "ABNORMAL, old IMI"])
    assert found["accuracy"] == 0.0 and found["unparsable"] == 0.5
    # {CD, STTC} of five labels differ, and all five of the answer that names none.
    assert found["hamming_loss"] == pytest.approx(7 / 10)
    # MI is right; STTC and NORM are missed; CD is extra.
    assert found["macro_f1"] == pytest.approx(1 / 4)


def test_answers_are_compared_whole() -> None:
    rows = [{"answer": "sinus rhythm, af"}, {"answer": "af, sinus rhythm"}]
    found = scored("ecgbench_ecgqa", rows, ["AF, Sinus rhythm", "fa, sinus rhythm"])
    assert found["accuracy"] == 0.5


def test_auroc_is_from_scores_alone() -> None:
    benchmark = benchmark_of("ptbxl_superclass")
    labels = benchmark.labels
    truth = {"1": {"MI"}, "2": {"NORM"}, "3": {"MI", "CD"}}
    rows = [
        {"ecg_id": name, **{label: int(label in right) for label in labels}}
        for name, right in truth.items()
    ]
    items = items_of(rows, benchmark, where="rows")
    zero = dict.fromkeys(labels, 0.0)
    given = {
        "1": Prediction("", scores={**zero, "MI": 0.9, "NORM": 0.2}),
        "2": Prediction("", scores={**zero, "MI": 0.5, "NORM": 0.8}),
        "3": Prediction("", scores={**zero, "MI": 0.4, "NORM": 0.1}),
    }
    found = figures(judge_items(items, given, benchmark), benchmark)
    # MI: one of two positives outranks the negative, 0.5; NORM 1; CD all tied, 0.5.
    assert found["macro_auroc"] == pytest.approx((0.5 + 1.0 + 0.5) / 3)
    assert found["unparsable"] == 0.0
    without = figures(judge_items(items, {"1": Prediction("MI")}, benchmark), benchmark)
    assert (without["missing"], without["unparsable"]) == (2, 1.0)
    with pytest.raises(BadTable, match="scored"):
        judge_items(items, {"1": Prediction("", scores={"MI": 1.0})}, benchmark)


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("pmc_vqa", [{"Choice A": "x", "Choice B": "y", "Answer": "C"}], "is no option"),
        ("pmc_vqa", [{"Answer": "C"}], "has no options"),
        ("vqa_rad", [{"question": "?"}], "has no answer"),
        ("vqa_rad", [{"answer": "  "}], "has no answer"),
        ("vqa_rad", ["yes"], "no row"),
        ("slake", [{"answer": "yes"}], "lacks 'q_lang'"),
        ("slake", [{"answer": "yes", "q_lang": "zh"}], "holds no question"),
        ("csn", [{"ecg_path": "x"}], "holds 'None', not 0 or 1"),
    ],
)
def test_impossible_questions_are_refused(name: str, rows: list[Any], message: str) -> None:
    with pytest.raises(BadTable, match=message):
        items_of(rows, benchmark_of(name), where="rows")


def test_an_id_is_there_once() -> None:
    with pytest.raises(DuplicateKey, match="twice"):
        items_of([{"id": 1, "answer": "a"}] * 2, benchmark_of("vqa_rad"), where="rows")
    with pytest.raises(UsageError, match="slake"):
        benchmark_of("nothing")


@given(st.text(max_size=80), st.sampled_from(sorted(BENCHMARKS)))
@settings(max_examples=150)
def test_no_response_raises(response: str, name: str) -> None:
    benchmark = benchmark_of(name)
    if benchmark.rule is None:
        return
    item = Item("1", ("A",) if benchmark.by_letter else OPTIONS[:1], OPTIONS)
    read = benchmark.rule(response, item)
    assert not (read.correct and read.given is None)


def test_files_as_published(tmp_path: Path) -> None:
    row = {"id": "q1", "answer": "yes"}
    benchmark = benchmark_of("vqa_rad")
    (tmp_path / "a.json").write_text(json.dumps([row]))
    (tmp_path / "a.jsonl").write_text(json.dumps(row) + "\n\n")
    pl.DataFrame([{**row, "image": b"\x00"}]).write_parquet(tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("id,answer\nq1,yes\n")
    (tmp_path / "a.tsv").write_text("id\tanswer\nq1\tyes\n")
    for path in sorted(tmp_path.iterdir()):
        assert read_items(path, benchmark) == [Item("q1", ("yes",))], path.name
    task = {"info": {}, "data": {"a.png": {"gt": "B", "raw_data": {"options": ["x", "y"]}}}}
    (tmp_path / "task.json").write_text(json.dumps(task))
    found = read_items(tmp_path / "task.json", benchmark_of("funbench"))
    assert found == [Item("a.png", ("B",), ("x", "y"))]
    with pytest.raises(MissingFile):
        read_items(tmp_path / "none.json", benchmark)


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet", "a.csv"])
@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b"PAR1PAR1", b"[1]", b'{"a": 1}'])
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadTable):
        read_items(tmp_path / name, benchmark_of("vqa_rad"))


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    monkeypatch.setattr("sys.argv", ["qoqtrain", "evaluate", *map(str, arguments)])
    try:
        qoqtrain.cli.run()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def test_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    questions, answers = tmp_path / "test.json", tmp_path / "answers.jsonl"
    asked = [{"qid": n, "q_lang": "en", "answer": "yes", "answer_type": "CLOSED"} for n in (1, 2)]
    questions.write_text(json.dumps(asked))
    rows = [{"id": "1", "response": "\\boxed{Yes}"}, {"id": "9", "response": "no"}]
    answers.write_text("".join(json.dumps(row) + "\n" for row in rows))
    given = ("--rules", "slake", "--questions", questions, "--predictions", answers)
    assert run(monkeypatch, *given, "--out", tmp_path / "out", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["figures"]["accuracy"] == 0.5 and found["run"]["beside"] == 1
    assert json.loads((tmp_path / "out" / "benchmark.json").read_text()) == found
    written = (tmp_path / "out" / "per_question.jsonl").read_text()
    kept = [json.loads(line) for line in written.splitlines()]
    assert [row["status"] for row in kept] == ["ok", "missing"]
    assert kept[0]["response"] == "\\boxed{Yes}" and kept[0]["given"] == ["yes"]
    assert run(monkeypatch, *given) == 0
    assert "SLAKE" in capsys.readouterr().out
    unknown = ("--rules", "none", *given[2:])
    for bad in (given[:2], given[2:], (), (*given, "--data", tmp_path), unknown):
        wanted = bad if "--predictions" in bad else (*bad, "--predictions", answers)
        assert run(monkeypatch, *wanted) == 2, bad
        assert "Traceback" not in capsys.readouterr().err
