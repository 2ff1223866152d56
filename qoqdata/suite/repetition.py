"""The same build once more, in a process whose sets of texts have another order."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

from qoqdata.sources import catalogue
from qoqdata.sources.protocol import Source
from qoqdata.suite.examples import BuiltExample, build_example

HASH_SEED = "PYTHONHASHSEED"
_CODE = "from qoqdata.suite.repetition import show_digest; show_digest()"


def digest(example: BuiltExample) -> str:
    """What tells two builds of an example apart: the bytes of its shards, and what it left out."""
    content = (example.dataset.manifest.digest, example.quarantine)
    return sha256(repr(content).encode()).hexdigest()


def digest_elsewhere(source: Source, raw: Path, out: Path) -> str:
    """The digest of a build in a new process, at `out`; RuntimeError with what it said in vain."""
    seed = "2" if os.environ.get(HASH_SEED) == "1" else "1"
    environment = os.environ | {
        HASH_SEED: seed,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
    }
    command = [sys.executable, "-c", _CODE, str(source.folder), source.module, str(raw), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout.strip()


def show_digest() -> None:
    """Build the source that the arguments name, and write its digest to standard output."""
    folder, module, raw, out = sys.argv[1:]
    source = catalogue.load_source(Path(folder), module)
    sys.stdout.write(digest(build_example(source, Path(out), raw=Path(raw))))
