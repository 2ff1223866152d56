"""Which language a text is in, told by its script and its short words. Good for counts."""

from __future__ import annotations

import re
from collections import Counter

from qoqdata.curation.phi.words import keyed_words

#: Where neither script nor words tell; the code of ISO 639-3 for undetermined.
UNKNOWN = "und"

_SCRIPTS = (
    ("ja", re.compile("[\u3040-\u30ff]")),
    ("ko", re.compile("[\uac00-\ud7af]")),
    ("zh", re.compile("[\u4e00-\u9fff]")),
    ("ru", re.compile("[\u0400-\u04ff]{2}")),
)
_WORD = re.compile(r"[^\W\d_]{1,12}")
_FUNCTION_WORDS = keyed_words("function_words")
#: So much of a text is enough.
_HEAD = 2_000


def language_of(text: str) -> str:
    """de, en, es, fr, it, ja, ko, pt, ru, zh or UNKNOWN."""
    head = text[:_HEAD]
    for language, script in _SCRIPTS:
        if script.search(head):
            return language
    found = Counter(word.casefold() for word in _WORD.findall(head))
    scores = {
        language: sum(found[word] for word in words) for language, words in _FUNCTION_WORDS.items()
    }
    best = max(scores, key=lambda language: scores[language])
    return best if scores[best] else UNKNOWN
