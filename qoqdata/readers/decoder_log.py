"""What C decoders say while they decode.

libjpeg and FFmpeg report damage that they paper over (a grey half image, a frame patched from its
neighbour) only as text on the process's standard error; their Python bindings drop it. This module
collects that text, so that a reader can refuse instead of passing the patched pixels on, and keeps
it off the terminal.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO

_STDERR = 2
_KEPT_BYTES = 1 << 16
_ONE_AT_A_TIME = threading.RLock()
#: An empty file and the process that made it: a forked child would write into its parent's.
_SPARE: list[tuple[int, IO[bytes]]] = []

_DECODER = re.compile(
    r"\[[\w,.\- ]+ @ 0x[0-9a-f]+\] "  # FFmpeg: [h264 @ 0x55...] error while decoding MB
    r"|Truncating packet of size "  # FFmpeg, from a place without a name
    r"|(?:Corrupt JPEG data|Premature end of JPEG|Inconsistent progression|Unknown Adobe color)"
    r"|libpng (?:error|warning): "
    r"|(?:_?TIFF\w+|[A-Z]\w*(?:Decode\w*|Setup\w*|Lib)|tempfile\.tif|MissingRequired): "  # libtiff
    r"|More samples per pixel "
)
_DROPPED = re.compile(
    r"\[ *(?:FATAL|ERROR|WARN|INFO|DEBUG|VERB):\d+@[\d.]+\] |> |    Last message repeated "
)


@contextmanager
def decoder_log() -> Iterator[list[str]]:
    """Collect decoder messages written to file descriptor 2 inside the `with` block.

    Yields a list that is filled, in order and without addresses, when the block ends. OpenCV's own
    log lines are dropped (its return values say the same); lines of anybody else, such as a
    progress bar in another thread, are written on to the real standard error afterwards. Only one
    thread of a process can be inside at a time.
    """
    messages: list[str] = []
    with _ONE_AT_A_TIME:
        sink = _own_file()
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()
        try:
            original: int | None = os.dup(_STDERR)
        except OSError:
            original = None
        os.dup2(sink.fileno(), _STDERR)
        try:
            yield messages
        finally:
            if original is None:
                os.close(_STDERR)
            else:
                os.dup2(original, _STDERR)
                os.close(original)
            text = _taken(sink).decode("utf-8", "replace")
            _SPARE[:] = [(os.getpid(), sink)]
            others = _sort(text, messages) if text else ""
            if others and original is not None:
                os.write(_STDERR, others.encode())


def _own_file() -> IO[bytes]:
    """An empty file of this process; a block inside of a block gets one of its own."""
    maker, file = _SPARE.pop() if _SPARE else (None, None)
    if file is None or maker != os.getpid():
        file = _empty_file()
        atexit.register(file.close)
    return file


def _empty_file() -> IO[bytes]:
    """In memory where the system has such: a build may have no writable /tmp."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("decoder_log"), "w+b", buffering=0)
    return tempfile.TemporaryFile(buffering=0)


def _taken(sink: IO[bytes]) -> bytes:
    """The beginning of what was written, after which the file is empty again."""
    if sink.tell() == 0:
        return b""
    sink.seek(0)
    content = sink.read(_KEPT_BYTES)
    sink.seek(0)
    sink.truncate()
    return content


def _sort(text: str, messages: list[str]) -> str:
    """Append the decoders' lines of `text` to `messages`; return the lines of others."""
    others = []
    for line in text.splitlines(keepends=True):
        if _DECODER.match(line):
            messages.append(re.sub(r" @ 0x[0-9a-f]+", "", line.strip()))
        elif line.strip() and not _DROPPED.match(line):
            others.append(line)
    return "".join(others)
