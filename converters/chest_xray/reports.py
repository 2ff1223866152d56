"""Radiology reports as MIMIC-CXR publishes them: plain text in sections."""

from __future__ import annotations

import re

#: A heading of a report: capitals at the start of a line, up to a colon.
_HEADING = re.compile(r"^[ \t]*([A-Z][A-Z /,()-]*):", re.MULTILINE)


def read_sections(report: str) -> dict[str, str]:
    """Sections of a report by heading, white space as single blanks; the last of a name wins."""
    parts = _HEADING.split(report)
    return {
        name.strip(): " ".join(body.split())
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }
