"""The libraries below, without their own bars and notices."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Inside, transformers and DeepSpeed say errors alone; afterwards they are as they were."""
    import torch
    from transformers.utils import logging as notices

    verbosity, bars = notices.get_verbosity(), notices.is_progress_bar_enabled()
    deepspeed = logging.getLogger("DeepSpeed")
    level = deepspeed.level
    # DeepSpeed complains when it has to find out that there is no accelerator.
    stated = "DS_ACCELERATOR" in os.environ or torch.cuda.is_available()
    if not stated:
        os.environ["DS_ACCELERATOR"] = "cpu"
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning)
            notices.disable_progress_bar()
            notices.set_verbosity_error()
            deepspeed.setLevel(logging.ERROR)
            yield
    finally:
        deepspeed.setLevel(level)
        notices.set_verbosity(verbosity)
        if bars:
            notices.enable_progress_bar()
        if not stated:
            del os.environ["DS_ACCELERATOR"]
