"""A model answers a split, is interrupted, goes on, and is scored by the same commands."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from qoqdata.dataset import Dataset
from qoqdata.errors import UsageError
from tests.publication.conftest import build_set

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return build_set(tmp_path_factory.mktemp("answering") / "set", "ptb_xl", "ham10000")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from qoqtrain.model.tiny import write_tiny

    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("answering") / "model"
    write_tiny(out, "qwen3_vl")
    return out


def run(dataset: Dataset, model: Path, out: Path, *, split: str = "train", batch: int = 4):
    from qoqtrain.evaluate.answering import AnswerSettings, answer
    from qoqtrain.model.loading import load_policy

    policy, processor = load_policy(model, dtype="float32")
    how = AnswerSettings(max_tokens=5, batch=batch)
    frame = answer(dataset, split, policy, processor, out, how)
    return frame, [json.loads(line) for line in out.read_text().rstrip("\n").split("\n")]


def test_every_question_is_answered_once(dataset: Dataset, model: Path, tmp_path: Path) -> None:
    frame, lines = run(dataset, model, tmp_path / "a.jsonl")
    train = dataset.kept().filter(split="train")
    assert sorted(line["id"] for line in lines) == sorted(train["id"])
    assert frame == "thousandths"
    assert all(isinstance(line["response"], str) for line in lines)
    images = dict(train.select("id", "n_images").iter_rows())
    assert all(len(line.get("seen_sizes", ())) == images[line["id"]] for line in lines)


def test_a_benchmark_is_asked(dataset: Dataset, model: Path, tmp_path: Path) -> None:
    """Evaluation sources are refused in training only."""
    sources = {
        slug: entry.model_copy(update={"role": "evaluation"})
        for slug, entry in dataset.manifest.sources.items()
    }
    benchmark = replace(dataset, manifest=dataset.manifest.model_copy(update={"sources": sources}))
    with pytest.raises(UsageError, match="never trained on"):
        benchmark.stream("test")
    _, lines = run(benchmark, model, tmp_path / "a.jsonl", split="test")
    assert len(lines) == dataset.kept().filter(split="test").height > 0


def test_batches_do_not_matter(dataset: Dataset, model: Path, tmp_path: Path) -> None:
    _, one = run(dataset, model, tmp_path / "a.jsonl", batch=1)
    _, four = run(dataset, model, tmp_path / "b.jsonl", batch=4)
    assert sorted(one, key=lambda row: row["id"]) == sorted(four, key=lambda row: row["id"])


def test_goes_on_after_a_kill(dataset: Dataset, model: Path, tmp_path: Path) -> None:
    _, whole = run(dataset, model, tmp_path / "a.jsonl")
    text = [line + "\n" for line in (tmp_path / "a.jsonl").read_text().split("\n")]
    # A policy may write what splits lines elsewhere, and not in JSON.
    odd = json.dumps(json.loads(text[0]) | {"response": "a\u2028b"}, ensure_ascii=False) + "\n"
    (tmp_path / "b.jsonl").write_text(odd + "".join(text[1:3]) + text[3][: len(text[3]) // 2])
    _, again = run(dataset, model, tmp_path / "b.jsonl")
    whole[0] = json.loads(odd)
    assert sorted(again, key=lambda row: row["id"]) == sorted(whole, key=lambda row: row["id"])


def test_a_file_of_something_else_is_left_alone(
    dataset: Dataset, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "notes.txt").write_text("dear diary\n")
    with pytest.raises(UsageError, match="no predictions to go on with"):
        run(dataset, model, tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "dear diary\n"


def test_command(dataset: Dataset, model: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    import qoqtrain.cli

    arguments = ["evaluate", "--data", str(dataset.root), "--model", str(model), "--split", "test"]
    arguments += ["--out", str(tmp_path / "out"), "--max-tokens", "4", "--bootstrap", "0", "--json"]
    monkeypatch.setattr("sys.argv", ["qoqtrain", *arguments])
    # Four tokens of a policy that knows nothing are no answer.
    with pytest.raises(SystemExit, match="1"):
        qoqtrain.cli.run()
    found = json.loads(capsys.readouterr().out)
    test = dataset.kept().filter(split="test").height
    assert (tmp_path / "out" / "predictions.jsonl").read_text().count("\n") == test
    assert json.dumps(found).count("ptb_xl") > 0
