"""The figures of a benchmark: pure functions of its verdicts, by name, and their files."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from qoqdata.atomic import file_digest, replacing, write_json
from qoqtrain.evaluate.benchmarks.judged import GROUNDING
from qoqtrain.evaluate.benchmarks.readings import Item
from qoqtrain.evaluate.benchmarks.table import Benchmark
from qoqtrain.evaluate.benchmarks.verdicts import Verdict, membership
from qoqtrain.evaluate.class_metrics import Floats, auroc, macro_f1, mean_defined, ranking, rates
from qoqtrain.rewards.text import words

FIGURES_FILE, QUESTIONS_FILE = "benchmark.json", "per_question.jsonl"

Figures = dict[str, float | None]
Verdicts = Sequence[Verdict]


def figures(verdicts: Verdicts, benchmark: Benchmark) -> dict[str, Any]:
    """All figures of a benchmark, 0 to 1, None where undefined.

    `records` is the denominator of every share: questions without a response, and responses that
    cannot be read, count as wrong. `unparsable` is the share of the responses given. `groups`
    repeats the figures for every value of the benchmark's own columns.
    """
    names = sorted({name for verdict in verdicts for name in verdict.item.groups})
    groups = {
        name: {
            value: _figures([v for v in verdicts if v.item.groups.get(name) == value], benchmark)
            for value in sorted({v.item.groups[name] for v in verdicts if name in v.item.groups})
        }
        for name in names
    }
    return {"benchmark": benchmark.name, **_figures(verdicts, benchmark), "groups": groups}


def _figures(verdicts: Verdicts, benchmark: Benchmark) -> dict[str, Any]:
    statuses = [verdict.status for verdict in verdicts]
    responses = len(verdicts) - statuses.count("missing")
    row: dict[str, Any] = {
        "records": len(verdicts),
        "missing": statuses.count("missing"),
        "unparsable": statuses.count("unparsable") / responses if responses else None,
    }
    for name in benchmark.figures:
        row |= FIGURES[name](verdicts)
    return row


def _accuracy(verdicts: Verdicts) -> Figures:
    right = [verdict.reading.correct for verdict in verdicts]
    return {"accuracy": sum(right) / len(right) if right else None}


def _closed_and_open(verdicts: Verdicts) -> Figures:
    """Closed: as the benchmark marks it, else yes/no questions. Open: exact match and overlaps."""
    closed = [verdict for verdict in verdicts if is_closed(verdict)]
    open_ = [verdict for verdict in verdicts if not is_closed(verdict)]
    row: Figures = {
        "closed_records": float(len(closed)),
        "closed_accuracy": _accuracy(closed)["accuracy"],
        "open_exact_match": _accuracy(open_)["accuracy"],
    }
    for name in ("token_recall", "token_f1", "rouge_l"):
        values = [verdict.reading.measures.get(name, 0.0) for verdict in open_]
        row[f"open_{name}"] = sum(values) / len(values) if values else None
    pairs = [((v.reading.given or ("",))[0], v.item.right[0]) for v in open_]
    row["open_bleu_1"] = corpus_bleu(pairs, 1)
    return row


def is_closed(verdict: Verdict) -> bool:
    """What the benchmark says, or, where it says nothing, whether the right answer is yes or no."""
    if verdict.item.closed is not None:
        return verdict.item.closed
    return verdict.item.right[0].strip().casefold() in ("yes", "no")


def _macro_f1(verdicts: Verdicts) -> Figures:
    return {"macro_f1": _defined(macro_f1(rates(class_counts(verdicts))))}


def _sens_spec_hmean(verdicts: Verdicts) -> Figures:
    """FunBench's "F1": the harmonic mean of sensitivity and specificity, mean over classes.

    A class is what an option says, over the questions that offer it: letters change from image to
    image. None where options are nothing but their letters.
    """
    if any(item.options == letters_shown(item) for item in (v.item for v in verdicts)):
        return {"sens_spec_hmean": None, "sensitivity": None}
    classes = rates(_word_counts(verdicts))
    total = classes.recall + classes.specificity
    product = 2 * classes.recall * classes.specificity
    means = np.divide(product, total, out=np.zeros_like(total), where=total > 0)
    means[np.isnan(total)] = np.nan
    return {
        "sens_spec_hmean": _defined(float(mean_defined(means))),
        "sensitivity": _defined(float(mean_defined(classes.recall))),
    }


def _set_balanced_accuracy(verdicts: Verdicts) -> Figures:
    """Mean over labels of (sensitivity + specificity) / 2, which ECGBench calls AUC."""
    classes = rates(class_counts(verdicts))
    return {
        "balanced_accuracy": _defined(
            float(mean_defined((classes.recall + classes.specificity) / 2))
        )
    }


def _hamming_loss(verdicts: Verdicts) -> Figures:
    """Share of labels that differ; every label of an answer that cannot be read differs."""
    wrong = labels = 0
    for verdict in verdicts:
        labels += len(verdict.item.options)
        if verdict.reading.given is None:
            wrong += len(verdict.item.options)
        else:
            wrong += len(set(verdict.reading.given) ^ set(verdict.item.right))
    return {"hamming_loss": wrong / labels if labels else None}


def _macro_auroc(verdicts: Verdicts) -> Figures:
    """Mean AUROC over the labels with both classes, from scores; never from sets of labels."""
    labels = verdicts[0].item.options if verdicts else ()
    scores = np.full((len(verdicts), len(labels)), np.nan)
    for row, verdict in enumerate(verdicts):
        if verdict.scores is not None:
            scores[row] = verdict.scores
    ones = np.ones(len(verdicts))
    aurocs = [
        auroc(ranking(column, np.array([label in v.item.right for v in verdicts])), ones)
        for label, column in zip(labels, scores.T, strict=True)
    ]
    return {"macro_auroc": _defined(float(mean_defined(np.array(aurocs))))}


def _authors_sets(verdicts: Verdicts) -> Figures:
    """ECGBench's own figures: labels by substring, over the classes that are true of some record.

    What names no label is an empty set. ABNORMAL holds no NORM, and where it is a label (code15)
    what stands before "Answer:" does not count.
    """
    labels = verdicts[0].item.options if verdicts else ()
    true = np.array([[one in v.item.right for one in labels] for v in verdicts], dtype=bool)
    given = np.array([_substrings(v, labels) for v in verdicts], dtype=bool)
    shape = (len(verdicts), len(labels))
    asked = true.reshape(shape).any(axis=0) if labels else np.zeros(0, bool)
    true, given = true.reshape(shape)[:, asked], given.reshape(shape)[:, asked]
    pairs = (true & given, ~true & given, true & ~given, ~true & ~given)
    counts = np.stack([*(pair.sum(axis=0) for pair in pairs), np.zeros(asked.sum())], axis=1)
    classes = rates(counts.astype(np.float64))
    both = (classes.recall + classes.specificity) / 2
    return {
        "authors_macro_f1": _defined(macro_f1(classes)),
        "authors_auc": _defined(float(both.mean())) if len(both) else None,
        "authors_hamming_loss": float((true != given).mean()) if true.size else None,
    }


def _substrings(verdict: Verdict, labels: Sequence[str]) -> list[bool]:
    text = verdict.response or ""
    if "ABNORMAL" not in labels:
        return [label in text for label in labels]
    text = text.split("Answer:")[-1]
    abnormal = "ABNORMAL" in text
    return [label in text and not (abnormal and label == "NORM") for label in labels]


def _measured(*names: str) -> Callable[[Verdicts], Figures]:
    """Means of what a judge's replies measure; a record without a reply counts as 0."""

    def means(verdicts: Verdicts) -> Figures:
        values = {name: [v.reading.measures.get(name, 0.0) for v in verdicts] for name in names}
        return {name: sum(own) / len(own) if own else None for name, own in values.items()}

    return means


FIGURES: dict[str, Callable[[Verdicts], Figures]] = {
    "accuracy": _accuracy,
    "closed_and_open": _closed_and_open,
    "macro_f1": _macro_f1,
    "sens_spec_hmean": _sens_spec_hmean,
    "balanced_accuracy": _set_balanced_accuracy,
    "hamming_loss": _hamming_loss,
    "macro_auroc": _macro_auroc,
    "authors_sets": _authors_sets,
    "report_score": _measured("report_score"),
    "grounding": _measured(*GROUNDING),
}


def class_counts(verdicts: Verdicts) -> Floats:
    """(K, 5) counts of each class that is right or given anywhere, as `confusion.rates` takes."""
    right, answers = membership(verdicts)
    void = np.array([[verdict.reading.given is None] for verdict in verdicts], dtype=bool)
    void = void.reshape(len(verdicts), 1) & ~right
    counts = (right & answers, ~right & answers, right & ~answers, ~right & ~answers & ~void, void)
    return np.stack([count.sum(axis=0) for count in counts], axis=1).astype(np.float64)


def _word_counts(verdicts: Verdicts) -> Floats:
    """(K, 5) counts as `class_counts`, of each option by its words, where it is offered."""
    words_offered = sorted({option for verdict in verdicts for option in verdict.item.options})
    counts = np.zeros((len(words_offered), 5))
    for verdict in verdicts:
        letters, given = letters_shown(verdict.item), verdict.reading.given
        for letter, option in zip(letters, verdict.item.options, strict=True):
            right, named = letter in verdict.item.right, letter in (given or ())
            void = given is None and not right
            state = (right and named, named and not right, right and not named,
                     not right and not named and not void, void)  # fmt: skip
            counts[words_offered.index(option)] += state
    return counts


def letters_shown(item: Item) -> tuple[str, ...]:
    """A, B, ... for the options of a question."""
    return tuple(chr(ord("A") + place) for place in range(len(item.options)))


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else value


def corpus_bleu(pairs: Iterable[tuple[str, str]], order: int) -> float | None:
    """BLEU with n-grams up to `order` over (answer, truth) pairs; None without any pair.

    Papineni et al., "BLEU", ACL 2002: clipped matches and lengths are summed over the corpus
    before the geometric mean, times the brevity penalty. No smoothing: an order without a match
    makes it 0.
    """
    hits, totals = [0] * order, [0] * order
    answer_words = truth_words = 0
    count = 0
    for answer, truth in pairs:
        count += 1
        first, second = words(answer), words(truth)
        answer_words += len(first)
        truth_words += len(second)
        for n in range(1, order + 1):
            grams = _grams(first, n)
            hits[n - 1] += (grams & _grams(second, n)).total()
            totals[n - 1] += grams.total()
    if not count:
        return None
    if not all(hits):
        return 0.0
    mean = sum(math.log(hit / total) for hit, total in zip(hits, totals, strict=True)) / order
    return math.exp(mean + min(0.0, 1.0 - truth_words / answer_words))


def _grams(tokens: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def benchmark_json(
    benchmark: Benchmark,
    questions: str,
    predictions: Path,
    ids: Collection[str],
    verdicts: Sequence[Verdict],
) -> dict[str, Any]:
    """The figures and what they rest on.

    `questions` is the digest of the file or data set that has them; `ids` are those of the
    predictions, whose file is digested by sha256. `beside` counts predictions of questions that are
    not asked.
    """
    questions_asked = {verdict.item.id for verdict in verdicts}
    return {
        "run": {
            "questions": questions,
            "predictions": file_digest(predictions),
            "beside": sum(name not in questions_asked for name in ids),
            "note": benchmark.note,
        },
        "figures": figures(verdicts, benchmark),
    }


def write_benchmark_report(
    folder: Path, result: dict[str, Any], verdicts: Sequence[Verdict]
) -> None:
    """Write both files into `folder`, each whole or not at all; one row a question, with the raw
    response, what was read from it and the score apart."""
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / QUESTIONS_FILE) as draft:
        rows = (json.dumps(verdict.as_row(), ensure_ascii=False) for verdict in verdicts)
        draft.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    write_json(folder / FIGURES_FILE, result)
