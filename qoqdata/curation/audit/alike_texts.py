"""Contexts of different studies that are nearly the same text, such as a report that was pasted on.

Two texts are alike where nine in ten of their different words are common to both. What a reader
must not overlook keeps them apart whatever else they share: numbers and the word after one (its
unit), numbers in letters and Roman grades, sides, and negations must be the same, in one order.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

import polars as pl

#: A row a text that is like an earlier one: the first records of both, how far they are alike, and
#: the words in which they differ.
ALIKE_TEXTS = {
    "id": pl.String,
    "source": pl.String,
    "split": pl.String,
    "other": pl.String,
    "other_split": pl.String,
    "similarity": pl.Float64,
    "differs": pl.String,
}
#: Common words over all different words of two texts.
SIMILAR = 0.9

_WORD = re.compile(r"[+-]?\d+(?:[.,:/x-]\d+)*|[^\W\d_]+|[%°<>≤≥±]")
_SIDES = """left right bilateral bilaterally unilateral both l r contralateral ipsilateral
    links linke linken linker linkes rechts rechte rechten rechter rechtes beidseits beidseitig
    gauche gauches droit droite droits droites bilatéral bilatérale izquierda izquierdo derecha
    derecho ambos ambas sinistra sinistro destra destro esquerda esquerdo direita direito
    os od ou lt rt"""
_NEGATIONS = """no not non none nor neither never without absent absence denies denied deny negative
    free unremarkable excluded exclude rule ruled unlikely cannot isn wasn doesn lacks lack
    kein keine keinen keiner keines keinem nicht ohne weder noch ausgeschlossen fehlt fehlend
    pas sans aucun aucune ni jamais absent absente sin ningún ninguna nunca niega ausencia
    senza nessun nessuna sem nenhum nenhuma нет не без"""
_NUMBERS = """zero one two three four five six seven eight nine ten eleven twelve single double
    triple first second third fourth"""
_ROMAN = re.compile(r"[ivx]{1,5}")
#: Characters of scripts without blanks; each is a word.
_UNSPACED = re.compile(r"[\u3400-\u9fff]")
_KEPT_APART = frozenset(f"{_SIDES} {_NEGATIONS} {_NUMBERS}".split()) | frozenset(
    "左右双无未不非没否"
)


def find_alike_texts(kept: pl.DataFrame) -> pl.DataFrame:
    """Columns of ALIKE_TEXTS; `kept` has id, source, split, study and context.

    Of equal texts the first record of each split stands for all; equal texts of one split are not
    told, as stock reports are.
    """
    first = (
        kept.drop_nulls("context")
        .sort("id")
        .group_by("context", "split", maintain_order=True)
        .first()
    )
    rows = list(first.select("id", "source", "split", "study", "context").iter_rows())
    words = [_words(context) for *_, context in rows]
    blocks: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, own in enumerate(words):
        blocks[fixed_words(own)].append(number)
    found = []
    for numbers in blocks.values():
        sets = [frozenset(words[number]) for number in numbers]
        for one, other, similarity in _joined(sets):
            a, b = rows[numbers[one]], rows[numbers[other]]
            same_study, same_text = a[3] == b[3], a[4] == b[4]
            if not same_study and not (same_text and a[2] == b[2]):
                differs = " | ".join(
                    " ".join(sorted(x - y))
                    for x, y in ((sets[one], sets[other]), (sets[other], sets[one]))
                )
                found.append((*a[:3], b[0], b[2], similarity, differs))
    return pl.DataFrame(found, schema=ALIKE_TEXTS, orient="row").sort("source", "id", "other")


def _words(text: str) -> list[str]:
    spaced = _UNSPACED.sub(lambda match: f" {match[0]} ", text.lower())
    return _WORD.findall(spaced)


def fixed_words(words: Sequence[str]) -> tuple[str, ...]:
    """The words, in order, that two texts have in common or are not alike."""
    fixed = []
    after_number = False
    for word in words:
        is_number = any(c.isdigit() for c in word) or word in "%°<>≤≥±"
        if is_number or after_number or word in _KEPT_APART or _ROMAN.fullmatch(word):
            fixed.append(word)
        after_number = is_number
    return tuple(fixed)


def _joined(sets: Sequence[frozenset[str]]) -> Iterator[tuple[int, int, float]]:
    """Each set that is like an earlier one that is like none before it, with that one.

    Sets are alike from a Jaccard index of SIMILAR on. Sets that are alike share one of their rarest
    words (prefix filter; Chaudhuri, Ganti and Kaushik, 2006), so that no other pair is looked at.
    """
    counts = Counter(word for own in sets for word in own)
    holders: dict[str, list[int]] = defaultdict(list)
    for number, own in enumerate(sets):
        ordered = sorted(own, key=lambda word: (counts[word], word))
        prefix = ordered[: len(own) - math.ceil(SIMILAR * len(own)) + 1]
        seen = sorted({other for word in prefix for other in holders[word]})
        for other in seen:
            small, large = sorted((len(own), len(sets[other])))
            if small < SIMILAR * large:
                continue
            common = len(own & sets[other])
            if (similarity := common / (small + large - common)) >= SIMILAR:
                yield number, other, similarity
                break
        else:
            for word in prefix:
                holders[word].append(number)
