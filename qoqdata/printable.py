"""Text of unknown origin, such as the name of a file, as a person can be shown it."""

from __future__ import annotations

import re

#: Control characters, those that hide or turn text, line separators, and lone surrogates, which
#: stand for bytes of a name that are not UTF-8.
_UNSEEN = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_LINES = re.compile(_UNSEEN.pattern.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f"))


def printable(text: str, *, lines: bool = False) -> str:
    """The text in UTF-8 with what cannot be seen as escapes; with `lines`, line ends stay."""
    return (_LINES if lines else _UNSEEN).sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "surrogatepass").decode()
