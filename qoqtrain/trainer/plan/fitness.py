"""Which training records the policy can be shown, by what metadata say of them.

No pixel and no signal is read: sizes of images, texts and leads of ECGs tell how long a prompt is.
Most records are told by bounds: no token of a byte-level vocabulary is shorter than a byte. Prompts
that these leave in doubt are made and counted. What an image or a signal is inside shows when it
is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from qoqdata.errors import InputError
from qoqtrain.data.collate import StoredSize, TooLong
from qoqtrain.data.ecg import most_places
from qoqtrain.data.images import require_decodable
from qoqtrain.data.prompt import TextPart

if TYPE_CHECKING:
    from qoqdata.dataset import Dataset
    from qoqtrain.data.collate import Collator
    from qoqtrain.data.ecg import EcgPlaces

#: By what a record is left out: its images, its ECG, the length of its prompt, or its text.
Rule = Literal["image", "ecg", "length", "text"]

#: What prompts and truths are made of, as Parquet names; `ecg` without its signal.
_COLUMNS = (
    *("id", "domain", "modality", "task", "kind", "image_info", "regions", "context"),
    *("question", "options.list.element", "answer", "number"),
    *("ecg.leads.list.element", "ecg.fs"),
)
#: Stands for a context in a text that many records share; no record holds it.
_CONTEXT = "\ue000\ue003\ue000"
#: Bytes that the tokenizer's normal form (NFC) may make of one.
_GROWTH = 3


@dataclass(frozen=True)
class Unfit:
    """A record that cannot be shown: by what `rule`, and `why`."""

    id: str
    domain: str
    rule: Rule
    why: str


def unfit_records(dataset: Dataset, ids: Collection[str], collator: Collator) -> list[Unfit]:
    """Those of the records `ids` that cannot be shown to the collator's policy, by id.

    A prompt with an ECG counts with as many windows and tokens as the policy takes of one.
    """
    check, wanted = _Check(collator), frozenset(ids)
    found = []
    for record in _records(dataset, wanted):
        if (fault := check(record)) is not None:
            found.append(Unfit(str(record["id"]), str(record["domain"]), *fault))
    return sorted(found, key=lambda one: one.id)


def prompt_lengths(dataset: Dataset, ids: Sequence[str], collator: Collator) -> list[int]:
    """Tokens of the prompts of the records `ids`, in their order; with an ECG, at most."""
    lengths = {}
    for record in _records(dataset, frozenset(ids)):
        ecg = _places(record, collator)
        lengths[record["id"]] = len(collator.prompt_ids(record, _sizes(record), ecg))
    return [lengths[one] for one in ids]


def by_domain(unfit: Iterable[Unfit]) -> dict[str, dict[str, int]]:
    """How many records of each domain are unfit, by rule."""
    counts = Counter((one.domain, one.rule) for one in unfit)
    table: dict[str, dict[str, int]] = {}
    for (domain, rule), count in sorted(counts.items()):
        table.setdefault(domain, {})[rule] = count
    return table


def in_words(unfit: Iterable[Unfit]) -> str:
    """How many of which domain by which rule, in a line."""
    return "; ".join(
        f"{domain}: {', '.join(f'{count:,} by {rule}' for rule, count in rules.items())}"
        for domain, rules in by_domain(unfit).items()
    )


def _records(dataset: Dataset, wanted: frozenset[str]) -> Iterator[Mapping[str, Any]]:
    for table in dataset.metadata_tables(_COLUMNS):
        yield from table.filter([one in wanted for one in table["id"]]).iter_rows(named=True)


def _sizes(record: Mapping[str, Any]) -> list[StoredSize]:
    return [(int(one["width"]), int(one["height"])) for one in record["image_info"] or ()]


def _places(record: Mapping[str, Any], collator: Collator) -> EcgPlaces | None:
    leads = (record["ecg"] or {}).get("leads")
    if leads is None or collator.processor.ecg is None:
        return None
    return most_places(leads, collator.processor.ecg, f"record {record['id']}")


def most_tokens(text: str) -> int:
    """Tokens of a text at most."""
    return len(text) if text.isascii() else _GROWTH * len(text.encode())


class _Text(NamedTuple):
    """The words of a prompt: their tokens at most without the context, and how often it comes."""

    most: int
    contexts: int


class _Check:
    """Why a record cannot be shown; equal texts and sizes are worked out once."""

    def __init__(self, collator: Collator) -> None:
        self.collator = collator
        self._images: dict[StoredSize, int | str] = {}
        self._texts: dict[str, _Text | str] = {}

    def __call__(self, record: Mapping[str, Any]) -> tuple[Rule, str] | None:
        sizes = _sizes(record)
        tokens = 0
        for size in sizes:
            found = self._image(size)
            if isinstance(found, str):
                return "image", found
            tokens += found
        try:
            ecg = _places(record, self.collator)
        except InputError as error:
            return "ecg", error.what
        text = self._text(record, sizes, ecg)
        if isinstance(text, str):
            return "text", text
        # An image stands between two marks.
        most = tokens + 2 * len(sizes) + text.most + (sum(ecg.tokens) if ecg else 0)
        most += text.contexts * most_tokens(record["context"] or "")
        limit = self.collator.max_prompt_tokens
        if limit is None or most <= limit:
            return None
        if tokens >= limit:
            return "length", f"{tokens:,} tokens of {len(sizes)} images; {limit:,} are allowed"
        try:
            self.collator.prompt_ids(record, sizes, ecg)
        except TooLong as error:
            return "length", error.what
        return None

    def _image(self, size: StoredSize) -> int | str:
        if size not in self._images:
            try:
                require_decodable(*size, where="image_info")
                self._images[size] = self.collator.processor.image_tokens(*size)
            except InputError as error:
                self._images[size] = error.what
        return self._images[size]

    def _text(
        self, record: Mapping[str, Any], sizes: Sequence[StoredSize], ecg: EcgPlaces | None
    ) -> _Text | str:
        """The words of a prompt, or why they or the truth cannot be made."""
        if record["regions"] is not None:
            # Corners are by the size of their image: no other record has the same.
            return self._made(record, sizes, ecg)
        key = _key(record)
        if key not in self._texts:
            context = None if record["context"] is None else _CONTEXT
            self._texts[key] = self._made({**record, "context": context}, sizes, ecg)
        return self._texts[key]

    def _made(
        self, record: Mapping[str, Any], sizes: Sequence[StoredSize], ecg: EcgPlaces | None
    ) -> _Text | str:
        try:
            parts = self.collator.parts(record, sizes, ecg)
            self.collator.truth(record, sizes)
        except InputError as error:
            return error.what
        words = "".join(part.text for part in parts if isinstance(part, TextPart))
        own = most_tokens(words.replace(_CONTEXT, ""))
        return _Text(own + self.collator.layout_bytes, words.count(_CONTEXT))


def _key(record: Mapping[str, Any]) -> str:
    """What the words of a prompt and its truth depend on, but for the context and for sizes."""
    facts = [
        {name: value for name, value in one.items() if name not in ("width", "height")}
        for one in record["image_info"] or ()
    ]
    names = ("modality", "task", "kind", "question", "options", "answer", "number", "ecg")
    return repr([[record[name] for name in names], facts, record["context"] is None])
