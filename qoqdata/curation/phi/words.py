"""The lists of words under `data/`, folded to lower case, and patterns made of them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

_DATA = Path(__file__).parent / "data"

#: Straight and typographic apostrophes of names are the same.
_APOSTROPHES = str.maketrans("’‘ʼ", "'''")


def folded(word: str) -> str:
    """A word as the lists have it; a German ß stays one letter."""
    return word.translate(_APOSTROPHES).lower()


def _lines(name: str) -> list[str]:
    text = (_DATA / f"{name}.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@cache
def words(name: str) -> frozenset[str]:
    """All words of a list without keys."""
    return frozenset(folded(word) for line in _lines(name) for word in line.split())


@cache
def keyed_words(name: str) -> dict[str, frozenset[str]]:
    """Words by key of a list of lines `key: word word`; quotes hold a word with blanks together."""
    return {key: frozenset(_quoted(" ".join(rest))) for key, rest in _by_key(name).items()}


@cache
def phrases(name: str) -> dict[str, frozenset[tuple[str, ...]]]:
    """Phrases by key of a list of lines `key: phrase | phrase`, each a tuple of words."""
    return {
        key: frozenset(tuple(folded(p).split()) for line in rest for p in line.split("|"))
        for key, rest in _by_key(name).items()
    }


def _by_key(name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in _lines(name):
        key, _, rest = line.partition(":")
        found.setdefault(key, []).append(rest)
    return found


def _quoted(text: str) -> list[str]:
    return [folded(one or other) for one, other in re.findall(r'"([^"]*)"|(\S+)', text)]


def one_of(choices: Iterable[str]) -> str:
    """A pattern of the choices that reads each character once: a trie, not a row of alternatives.

    The longest choice that fits wins.
    """
    trie: dict[str, dict] = {}  # type: ignore[type-arg]
    for choice in choices:
        node = trie
        for character in choice:
            node = node.setdefault(character, {})
        node[""] = {}
    return _pattern(trie)


def _pattern(node: dict[str, dict]) -> str:  # type: ignore[type-arg]
    parts = [
        (r"\s{1,3}" if character == " " else re.escape(character)) + _pattern(rest)
        for character, rest in sorted(node.items())
        if character
    ]
    if not parts:
        return ""
    joined = parts[0] if len(parts) == 1 and "" not in node else f"(?:{'|'.join(parts)})"
    return f"{joined}?" if "" in node else joined
