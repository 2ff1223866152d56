"""JSON that may come from anyone: bounded in size, and too deep is a fault like any other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

#: Bytes of a manifest, card or recipe; a set of 100,000 shards takes 0.05 GB.
LARGEST = 2**30


def parse_json(content: bytes | str) -> Any:
    """What `content` says; raises ValueError where it is no JSON, or nested without end."""
    try:
        return json.loads(content)
    except RecursionError as error:
        raise ValueError("is nested too deep") from error


def document_bytes(path: Path) -> bytes:
    """The bytes of a document; raises OSError, among them for one larger than `LARGEST`."""
    if (size := path.stat().st_size) > LARGEST:
        raise OSError(f"takes {size:,} bytes, more than any of ours")
    return path.read_bytes()
