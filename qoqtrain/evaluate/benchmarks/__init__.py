"""Published benchmarks: their questions, and their rules of scoring, as data and pure functions."""

from .figures import figures
from .item import Item
from .items import items_of, read_items
from .readings import Reading
from .table import BENCHMARKS, Benchmark, benchmark_of
from .verdicts import Verdict, judge_items

__all__ = [
    "BENCHMARKS",
    "Benchmark",
    "Item",
    "Reading",
    "Verdict",
    "benchmark_of",
    "figures",
    "items_of",
    "judge_items",
    "read_items",
]
