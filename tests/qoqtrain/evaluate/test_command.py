"""`qoqtrain evaluate` and `compare` as a user runs them, on built examples."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import qoqdata
import qoqtrain.cli
from qoqdata.pipeline.build import build_requests
from qoqdata.pipeline.config import BuildSetting, SourceRequest
from qoqdata.sources import catalogue
from qoqdata.suite.examples import SALT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples of a single-label image source and a multi-label ECG source."""
    out = tmp_path_factory.mktemp("evaluate") / "set"
    asked = {"ham10000": {"questions": "diagnosis"}, "ptb_xl": {}}
    sources = [catalogue.find_source(slug) for slug in asked]
    raws = [source.folder / "example" / "raw" for source in sources]
    requests = [
        (source, SourceRequest(source=source.card.slug, raw=raw, options=asked[source.card.slug]))
        for source, raw in zip(sources, raws, strict=True)
    ]
    build_requests(requests, out, BuildSetting(SALT, workers=0))
    return out


@pytest.fixture(scope="module")
def records(built: Path) -> list[dict[str, Any]]:
    """The training records, which the examples have most of."""
    columns = ("id", "source", "options", "answer", "regions", "image_info")
    table = qoqdata.open(built).records.filter(pl.col("split") == "train").select(columns)
    return table.sort("id").collect().to_dicts()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> Callable:
    """Run `qoqtrain ARGS`; returns exit code, standard output and standard error."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["qoqtrain", *map(str, arguments)])
        code = 0
        try:
            qoqtrain.cli.run()
        except SystemExit as end:
            code = int(end.code or 0)
        captured = capsys.readouterr()
        assert "Traceback" not in captured.out + captured.err
        return code, captured.out, captured.err

    return call


def perfect(record: dict[str, Any]) -> dict[str, Any]:
    """The right answer with the right boxes, and scores that put the right options first."""
    edges = ("x_min", "y_min", "x_max", "y_max")
    boxes = [
        {"bbox_2d": [region[edge] for edge in edges], "label": region["label"]}
        for region in record["regions"] or ()
    ]
    response = f"```json\n{json.dumps(boxes)}\n```<think>seen</think>\\boxed{{{record['answer']}}}"
    right = record["answer"].split(", ")
    scores = {option: float(option in right) for option in record["options"]}
    return {"id": record["id"], "response": response, "scores": scores}


def written(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_results_by_concept(built: Path, records: list, run: Callable, tmp_path: Path) -> None:
    answers = written(tmp_path / "a.jsonl", map(perfect, records))
    given = ("--data", built, "--predictions", answers, "--split", "train", "--bootstrap", 0)
    code, out, _ = run("evaluate", *given, "--harmonise", "malignancy", "--out", tmp_path / "out")
    assert code == 0 and "Malignant neoplasm" in out and "label without a concept" in out
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())["concepts"]
    assert [one["concept"] for one in found["concepts"]] == ["Benign lesion", "Malignant neoplasm"]
    assert all(one["pooled"]["f1"] == 1 for one in found["concepts"])
    malignant = [r for r in records if r["answer"] in ("Melanoma", "Basal cell carcinoma")]
    assert malignant and found["concepts"][1]["pooled"]["support"] == len(malignant)
    assert "Normal ECG" in [one["label"] for one in found["without_concept"]]
    code, out, _ = run("evaluate", *given, "--json")
    assert code == 0 and "concepts" not in json.loads(out)


def test_a_perfect_policy(built: Path, records: list, run: Callable, tmp_path: Path) -> None:
    answers = written(tmp_path / "a.jsonl", map(perfect, records))
    arguments = ("--data", built, "--predictions", answers, "--split", "train")
    code, output, _ = run("evaluate", *arguments, "--bootstrap", "20", "--json")
    assert code == 0
    found = json.loads(output)
    for metric in ("macro_f1", "balanced_accuracy", "auroc", "accuracy", "iou", "matched"):
        assert found["metrics"][metric]["value"] == pytest.approx(1.0), metric
    assert found["counts"]["statuses"] == {"ok": len(records)}
    assert found["run"]["beside"] == 0
    assert [domain["domain"] for domain in found["domains"]] == ["dermoscopy", "ecg"]


def test_missing_and_unread_predictions_are_wrong(
    built: Path, records: list, run: Callable, tmp_path: Path
) -> None:
    rows = [perfect(record) for record in records]
    rows[0]["response"] = "I cannot tell."
    rows[1]["response"] = None
    answers = written(tmp_path / "a.jsonl", rows[:-1])
    arguments = ("--data", built, "--predictions", answers, "--split", "train", "--out")
    code, output, _ = run("evaluate", *arguments, tmp_path / "figures", "--bootstrap", "20")
    assert code == 0
    assert "ham10000" in output and "overall" in output

    found = json.loads((tmp_path / "figures" / "evaluation.json").read_text())
    total = len(records)
    assert found["counts"]["records"] == total
    assert found["counts"]["missing"] == 2
    assert found["counts"]["unparsable"] == pytest.approx(1 / (total - 2))
    table = pl.read_parquet(tmp_path / "figures" / "per_record.parquet")
    assert table["id"].to_list() == [record["id"] for record in records]
    assert table["correct"].sum() == total - 3
    lost = {rows[0]["id"]: "no_answer", rows[1]["id"]: "missing", rows[-1]["id"]: "missing"}
    wrong = table.filter(~pl.col("correct"))
    assert dict(zip(wrong["id"], wrong["status"], strict=True)) == lost


def test_mostly_unparsable_answers_are_a_finding(
    built: Path, records: list, run: Callable, tmp_path: Path
) -> None:
    """Right answers, plainly written: the figures are 0, and the command says why."""
    plain = [{"id": record["id"], "response": record["answer"]} for record in records]
    half = len(records) // 2
    given = ("--data", built, "--split", "train", "--bootstrap", 0, "--predictions")
    for flags in ((), ("--json",)):
        code, _, error = run("evaluate", *given, written(tmp_path / "a.jsonl", plain), *flags)
        assert code == 1 and "100%" in error and "\\boxed{the answer}" in error
    mixed = [*plain[:half], *map(perfect, records[half:])]
    code, _, error = run("evaluate", *given, written(tmp_path / "b.jsonl", mixed))
    assert (code, error) == (0, "")


def test_comparison_of_two_runs(built: Path, records: list, run: Callable, tmp_path: Path) -> None:
    for name, kept in (("base", records[::2]), ("tuned", records)):
        answers = written(tmp_path / f"{name}.jsonl", map(perfect, kept))
        arguments = ("--data", built, "--predictions", answers, "--split", "train")
        assert run("evaluate", *arguments, "--out", tmp_path / name, "--bootstrap", "0")[0] == 0
    pair = [tmp_path / name / "evaluation.json" for name in ("base", "tuned")]
    code, output, _ = run("compare", *pair, "--bootstrap", "20", "--json")
    assert code == 0
    rows = {(row["level"], row["name"], row["metric"]): row for row in json.loads(output)}
    assert rows["overall", "all", "accuracy"]["second"] == 1.0
    assert rows["overall", "all", "accuracy"]["difference"]["value"] > 0
    code, output, _ = run("compare", *pair, "--bootstrap", "20")
    assert (code, "second minus first" in output) == (0, True)

    answers = tmp_path / "base.jsonl"
    run("evaluate", "--data", built, "--predictions", answers, "--split", "test", "--out", tmp_path)
    code, _, error = run("compare", pair[0], tmp_path / "evaluation.json")
    assert (code, "another split" in error) == (2, True)
    code, _, error = run("compare", pair[0], tmp_path / "absent.json")
    assert (code, "no such file" in error) == (1, True)
    code, _, error = run("compare", pair[0], answers)
    assert (code, "no evaluation.json" in error) == (1, True)


def test_functions_give_what_the_commands_show(
    built: Path, records: list, run: Callable, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    few = written(tmp_path / "few.jsonl", map(perfect, records[::2]))
    every = written(tmp_path / "every.jsonl", map(perfect, records))
    before, after = (
        qoqtrain.evaluate_predictions(
            dataset, answers, split="train", bootstrap=20, seed=3, out=tmp_path / answers.stem
        )
        for dataset, answers in ((built, few), (qoqdata.open(built), every))
    )
    assert (before.figures.counts.missing, after.figures.counts.missing) == (len(records) // 2, 0)
    assert [outcome.id for outcome in after.outcomes] == [record["id"] for record in records]
    pair = [tmp_path / name / "evaluation.json" for name in ("few", "every")]
    differences = qoqtrain.compare(*pair, bootstrap=20, seed=3)
    weights = qoqtrain.weights(with_statistics(built, tmp_path), by="source")
    assert capsys.readouterr() == ("", "")

    arguments = ("--split", "train", "--bootstrap", "20", "--seed", "3", "--json")
    _, shown, _ = run("evaluate", "--data", built, "--predictions", every, *arguments)
    assert json.loads(shown) == json.loads(pair[1].read_text())
    _, shown, _ = run("compare", *pair, "--bootstrap", "20", "--seed", "3", "--json")
    assert json.loads(shown) == [asdict(row) for row in differences]
    _, shown, _ = run("weights", tmp_path / "counted", "--by", "source", "--json")
    assert json.loads(shown) == json.loads(json.dumps(weights))
    assert {row["domain"] for row in weights} == {"ham10000", "ptb_xl"}


def with_statistics(dataset: Path, folder: Path) -> Path:
    copy = Path(shutil.copytree(dataset, folder / "counted"))
    qoqdata.stats(copy, prior=True)
    return copy


def test_predictions_that_cannot_be_used(
    built: Path, records: list, run: Callable, tmp_path: Path
) -> None:
    def outcome(rows: Iterable[dict[str, Any]]) -> tuple[int, str]:
        answers = written(tmp_path / "a.jsonl", rows)
        code, _, error = run("evaluate", "--data", built, "--predictions", answers)
        return code, error

    rows = [perfect(record) for record in records]
    code, error = outcome([*rows, {"id": "stranger", "response": ""}])
    assert code == 1
    assert f"1 of {len(rows) + 1} prediction ids are not in the data set, such as stranger" in error
    code, error = outcome([rows[0], rows[0]])
    assert (code, "there twice" in error) == (1, True)
    code, _, error = run("evaluate", "--data", built, "--predictions", tmp_path / "absent")
    assert (code, "no such file" in error) == (1, True)


def test_predictions_of_other_splits_are_counted(
    built: Path, records: list, run: Callable, tmp_path: Path
) -> None:
    answers = written(tmp_path / "a.jsonl", map(perfect, records))
    arguments = ("--data", built, "--predictions", answers, "--by", "domain")
    code, output, _ = run("evaluate", *arguments)
    assert code == 0
    assert f"{len(records)} predictions are of records that are not asked" in output


def test_the_plot_is_a_image(built: Path, records: list, run: Callable, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    answers = written(tmp_path / "a.jsonl", map(perfect, records))
    arguments = ("--data", built, "--predictions", answers, "--split", "train", "--bootstrap", "9")
    assert run("evaluate", *arguments, "--plot", tmp_path / "plot.png")[0] == 0
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")
    code, _, error = run("evaluate", *arguments, "--plot", tmp_path / "plot.doc")
    assert (code, "no name of an image" in error) == (2, True)


@pytest.mark.parametrize("name", ["evaluate", "compare"])
def test_help_has_an_example(name: str) -> None:
    result = CliRunner().invoke(qoqtrain.cli.app, [name, "--help"])
    assert result.exit_code == 0
    assert f"Example:  qoqtrain {name}" in result.output
