"""Turns of the trainers, each in a process of its own."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from benchmarks.training.ours import Ours
    from benchmarks.training.task import Cost

T = TypeVar("T")


def alone(call: Callable[..., T], *arguments: Any) -> T:
    """The call's result from a process of its own: TRL changes classes that both use."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_start) as pool:
        return pool.submit(call, *arguments).result()


def our_turn(*arguments: Any) -> Ours:
    """`ours.run`; imported in the process that runs it."""
    from benchmarks.training import ours

    return ours.run(*arguments)


def their_turn(*arguments: Any) -> Cost:
    """`theirs.run`, likewise."""
    from benchmarks.training import theirs

    return theirs.run(*arguments)


def _start() -> None:
    """One thread, and no bars and notices of the libraries."""
    os.environ.setdefault("DS_ACCELERATOR", "cpu")
    import datasets
    import torch
    from transformers.utils import logging as notices

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    datasets.disable_progress_bars()
    notices.disable_progress_bar()
    notices.set_verbosity_error()
    logging.disable(logging.WARNING)
