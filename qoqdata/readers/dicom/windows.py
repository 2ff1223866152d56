"""The CT windows that radiologists name, in Hounsfield units, as centre and width."""

from __future__ import annotations

from qoqdata.errors import UsageError
from qoqdata.readers.dicom.windowing import Window

CT_WINDOWS: dict[str, Window] = {
    name: Window(centre, width, "LINEAR", name)
    for name, centre, width in (
        ("brain", 40, 120),
        ("subdural", 80, 200),
        ("bone", 700, 3200),
        ("lung", -600, 1500),
        ("mediastinum", 40, 400),
        ("abdomen", 40, 400),
        ("pe", 400, 1000),
    )
}


def ct_window(name: str) -> Window:
    """The CT window called `name`, in HU. Raises UsageError for a name not in CT_WINDOWS."""
    try:
        return CT_WINDOWS[name]
    except KeyError as error:
        raise UsageError(
            f"no CT window is called {name!r}", fix=f"use one of {', '.join(CT_WINDOWS)}"
        ) from error
