"""A benchmark's figures on disk: benchmark.json and per_question.jsonl."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from qoqdata.atomic import file_digest, replacing, write_json
from qoqtrain.evaluate.benchmarks.figures import figures
from qoqtrain.evaluate.benchmarks.table import Benchmark
from qoqtrain.evaluate.benchmarks.verdicts import Verdict

FIGURES, QUESTIONS = "benchmark.json", "per_question.jsonl"


def as_json(
    benchmark: Benchmark,
    questions: Path,
    predictions: Path,
    given: Collection[str],
    verdicts: Sequence[Verdict],
) -> dict[str, Any]:
    """The figures and what they rest on; `given` ids of the predictions. sha256 of both files;
    `beside` counts predictions of questions that are not asked."""
    asked = {verdict.item.id for verdict in verdicts}
    return {
        "run": {
            "questions": file_digest(questions),
            "predictions": file_digest(predictions),
            "beside": sum(name not in asked for name in given),
            "note": benchmark.note,
        },
        "figures": figures(verdicts, benchmark),
    }


def write_benchmark_report(
    folder: Path, found: dict[str, Any], verdicts: Sequence[Verdict]
) -> None:
    """Write both files into `folder`, each whole or not at all; one row a question, with the raw
    response, what was read from it and the score apart."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / QUESTIONS) as draft:
        rows = (json.dumps(verdict.as_row(), ensure_ascii=False) for verdict in verdicts)
        draft.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    write_json(folder / FIGURES, found)
