"""Data sets for the tests of the stream, written by hand with small row groups."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from qoqdata import manifest as manifests
from qoqdata.atomic import file_digest
from qoqdata.contract.manifest import Counts, Manifest, Shard, SourceEntry
