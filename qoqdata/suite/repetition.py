"""The same build once more, in a process whose sets of texts have another order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Source
from qoqdata.suite.examples import BuiltExample, build_example

HASH_SEED = "PYTHONHASHSEED"
_CODE = "from qoqdata.suite.repetition import show_digests; show_digests()"

#: Of a source's build of a raw tree, made in a new folder.
Digest = Callable[[Source, Path, Path], str]


def digest(example: BuiltExample) -> str:
    """What tells two builds of an example apart: the bytes of its shards, and what it left out."""
    content = (example.dataset.manifest.digest, example.quarantine)
    return sha256(repr(content).encode()).hexdigest()


@contextmanager
def another_process() -> Iterator[Digest]:
    """A new process, for as many builds as one likes, in a `with` statement.

    The function returns the digest of a source's build of the tree `raw`, made at `out`;
    RuntimeError with what the process said in vain.
    """
    seed = "2" if os.environ.get(HASH_SEED) == "1" else "1"
    environment = os.environ | {
        HASH_SEED: seed,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-c", _CODE]
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def digest_elsewhere(source: Source, raw: Path, out: Path) -> str:
        assert process.stdin is not None and process.stdout is not None
        line = json.dumps([str(source.folder), source.module, str(raw), str(out)])
        with suppress(BrokenPipeError):
            print(line, file=process.stdin, flush=True)
        answer = process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the other process ended with status {process.wait()}")
        found, fault = json.loads(answer)
        if fault:
            raise RuntimeError(fault)
        return str(found)

    with process:
        yield digest_elsewhere


def show_digests() -> None:
    """For each line of standard input, which names a source and two folders, a line with the
    digest of the build and what was wrong."""
    answers, sys.stdout = sys.stdout, sys.stderr  # What a converter prints is no answer.
    for line in sys.stdin:
        folder, module, raw, out = json.loads(line)
        answer = ["", ""]
        try:
            source = catalogue.load_source(Path(folder), module)
            answer[0] = digest(build_example(source, Path(out), raw=Path(raw)))
        except (Exception, SystemExit):
            answer[1] = traceback.format_exc()
        print(json.dumps(answer), file=answers, flush=True)
