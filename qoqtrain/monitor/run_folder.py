"""What a run has written so far: its settings, its numbers step by step, its rollouts."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl

from qoqdata.errors import UsageError
from qoqdata.parquet_memory import require_memory
from qoqdata.settings import load_mapping
from qoqtrain.trainer.log import metrics, rollouts
from qoqtrain.trainer.plan.settings import MODEL_FOLDER, SETTINGS_FILE

#: Columns of rollouts that are shown; runs of earlier versions have no `boxes`.
_SHOWN = (
    *("id", "domain", "source", "rollout", "response", "n_tokens", "truncated", "overall"),
    *("answer", "grounding", "format", "length", "prediction", "advantage", "boxes"),
)


class RunFolder:
    """A run's folder; what it appends is read once. Any thread may ask."""

    def __init__(self, root: Path) -> None:
        """Raises UsageError for what is no folder of a run."""
        self.root, self._metrics = root, root / metrics.FILE
        if not self._metrics.is_file() and not (root / SETTINGS_FILE).is_file():
            fix = "name the folder that `qoqtrain train --out` names; default ./run"
            raise UsageError("holds no run", where=str(root), fix=fix)
        self._lines: list[dict[str, Any]] = []
        self._read, self._inode = 0, 0
        self._lock = threading.Lock()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of the run, empty for one of an earlier version."""
        path = self.root / SETTINGS_FILE
        return load_mapping(path) if path.is_file() else {}

    @property
    def ended(self) -> bool:
        """Whether the trained model has been written."""
        return (self.root / MODEL_FOLDER).is_dir()

    @property
    def version(self) -> str:
        """Changes whenever there is more to see."""
        try:
            facts = self._metrics.stat()
        except FileNotFoundError:
            return f"none-{self.ended}"
        return f"{facts.st_ino}-{facts.st_size}-{self.ended}"

    def lines(self) -> list[dict[str, Any]]:
        """The numbers of every step so far, in order; a line that is being written is left out."""
        with self._lock:
            try:
                facts = self._metrics.stat()
            except FileNotFoundError:
                return []
            # A run that goes on from a checkpoint puts another file in its place.
            if facts.st_ino != self._inode or facts.st_size < self._read:
                self._lines, self._read, self._inode = [], 0, facts.st_ino
            with self._metrics.open("rb") as stream:
                stream.seek(self._read)
                fresh = stream.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._read += len(whole)
            for line in whole.splitlines():
                with suppress(ValueError):
                    self._lines.append(json.loads(line))
            return list(self._lines)

    def rollout_steps(self) -> list[int]:
        """The steps whose rollouts are there, ascending."""
        files = (self.root / rollouts.FOLDER).glob("step-*-rank-*.parquet")
        return sorted({int(path.name.split("-")[1]) for path in files})

    def rollouts(self, step: int) -> pl.DataFrame:
        """The rollouts of a step, of all ranks; no row where there are none.

        Raises UsageError for a file that cannot be read.
        """
        pattern = f"step-{step:08d}-rank-*.parquet"
        parts = []
        for path in sorted((self.root / rollouts.FOLDER).glob(pattern)):
            try:
                require_memory(path)
                parts.append(pl.read_parquet(path, glob=False))
            except (pl.exceptions.PolarsError, OSError, ValueError) as error:
                what = f"cannot be read: {str(error).splitlines()[0]}"
                fix = "remove the file; the other steps can be looked at"
                raise UsageError(what, where=str(path), fix=fix) from error
        table = pl.concat(parts, how="diagonal") if parts else rollouts.empty()
        return table.select(name for name in _SHOWN if name in table.columns)
