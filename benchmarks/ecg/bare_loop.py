"""The loop that others write: every record below a folder through wfdb, and nothing more."""

from __future__ import annotations

import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Read the physical signals of every record below `folder`."""
    import wfdb

    for header in sorted(folder.rglob("*.hea")):
        wfdb.rdrecord(str(header.with_suffix("")))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
