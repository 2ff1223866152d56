"""Published benchmarks: their questions, and their rules of scoring, as data and pure functions."""

from qoqtrain.evaluate.benchmarks.figures import figures
from qoqtrain.evaluate.benchmarks.items import items_of, items_of_records, read_items
from qoqtrain.evaluate.benchmarks.readings import Item, Reading
from qoqtrain.evaluate.benchmarks.table import BENCHMARKS, Benchmark, benchmark_of
from qoqtrain.evaluate.benchmarks.verdicts import Verdict, judge_items

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Item",
    "Reading",
    "Verdict",
    "benchmark_of",
    "figures",
    "items_of",
    "items_of_records",
    "judge_items",
    "read_items",
]
