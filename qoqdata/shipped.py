"""Where the folders that travel inside the package lie: `schemas/` and `converters/`.

The build of the wheel moves them from the top of the repository into this package; in a checkout,
or an editable installation of one, they stay at the top. Neither is importable under a name of its
own, so a user's `schemas` or `converters` never meets ours.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_PACKAGE = Path(__file__).parent


def shipped_folder(name: Literal["schemas", "converters"]) -> Path:
    """The folder of that name: inside this package where it is installed, else beside it."""
    # Only a built wheel has `qoqdata/schemas`; `qoqdata/converters` is in a checkout too.
    installed = (_PACKAGE / "schemas").is_dir()
    return (_PACKAGE if installed else _PACKAGE.parent) / name
