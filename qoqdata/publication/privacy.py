"""The privacy gate: what must not leave, looked for in every text that would.

Three things are searched for: the site's salt in any spelling, absolute paths of this machine, and
raw keys. Raw keys are not kept anywhere, so a build leaves keyed hashes of all that it saw beside
its receipts (`records.raw_keys` says of what form), and a text is searched for whatever has one of
these hashes (`key_search`), and is an id where it stands (`key_sightings` says when). Searched are
all columns of all Parquet files, all other files, and the names of files.

What was searched once is not searched again by a publication that goes on (see `searched`).

Raw paths, and the ids of studies in them, of a source whose card calls them public are no secret;
its patients are.
"""

from __future__ import annotations

import base64
import hashlib
import mmap
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from qoqdata.atomic import digest, file_digest
from qoqdata.contract.card import Card
from qoqdata.contract.manifest import Shard
from qoqdata.dataset import Dataset
from qoqdata.errors import DatasetError
from qoqdata.progress import ProgressCallback, silent
from qoqdata.publication.key_search import KeySearch, key_search
from qoqdata.publication.outgoing_texts import strings_of, texts_of
from qoqdata.publication.searched import Searched
from qoqdata.records.identity import Salt
from qoqdata.records.raw_keys import ENTRY, distinct, normal
from qoqdata.remote.files import LocalFiles
from qoqdata.sources import catalogue

#: Texts searched at once, in characters, so that memory stays bounded.
_BATCH = 1 << 20
#: Texts found clean that are remembered: data and metadata hold the same ones.
_REMEMBERED = 1 << 20
#: Folders in which people keep data; a path below one names a machine, often a person.
_PATH = re.compile(
    r"(?<![\w./:-])(?:/(?:home|users|root|mnt|media|scratch|gpfs|lustre|nfs|tmp|var|private)/"
    r"|[a-z]:\\(?:users|data)\\)[^\s\"']+",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Leak:
    """Something that must not leave; `what` says the kind, never the thing itself."""

    file: str
    what: str


@dataclass(frozen=True)
class Secrets:
    """What to look for: byte strings by kind, and raw keys.

    `public` are sources whose raw paths are; `shipped` what installed cards say, with file names
    of the publishers, which is public wherever a data set repeats it. `digest` tells them from any
    others.
    """

    needles: Mapping[str, tuple[bytes, ...]]
    keys: KeySearch
    public: frozenset[str]
    shipped: frozenset[str]
    digest: str


def secrets_of(dataset: Dataset, salt: Salt) -> Secrets:
    """The secrets of a data set as built with `salt`.

    Raises DatasetError where the build left no hashes of a source's raw keys.
    """
    secret = salt.secret
    spellings = (secret.hex(), secret.hex().upper(), base64.b64encode(secret).decode())
    home = str(Path.home())
    # The folder of a set in a bucket is another one each time, and gone when this ends.
    places = {str(dataset.root.resolve()), *([home] if len(home) > 5 else [])}
    shipped = _shipped_texts()
    keys, words = _raw_keys(dataset), _vocabulary(dataset.cards, shipped)
    public = frozenset(s for s, card in dataset.cards.items() if card.raw_paths == "public")
    lasting = places if isinstance(dataset.files, LocalFiles) else {home}
    told = (hashlib.sha256(keys.tobytes()).hexdigest(), salt.fingerprint)
    sets = [sorted(some) for some in (words, public, shipped, lasting)]
    return Secrets(
        needles={
            "the site's salt": (secret, *(text.encode() for text in spellings)),
            "a path of this machine": tuple(place.encode() for place in places),
        },
        keys=key_search(keys, salt, words),
        public=public,
        shipped=shipped,
        digest=digest([told, sets]),
    )


def _raw_keys(dataset: Dataset) -> np.ndarray:
    entries = [np.zeros(0, ENTRY)]
    for slug in dataset.manifest.sources:
        path = dataset.layout.raw_keys(slug)
        try:
            entries.append(np.frombuffer(path.read_bytes(), ENTRY))
        except (OSError, ValueError) as error:
            what = f"nothing tells which raw keys {slug} has, so no file can be searched for them"
            fix = f"run the build of {slug} again; it goes on where it stopped"
            raise DatasetError(what, where=str(path), fix=fix) from error
    return distinct(np.concatenate(entries))


def _shipped_texts() -> frozenset[str]:
    contents = [card.model_dump(mode="json") for card in catalogue.cards().values()]
    return frozenset(strings_of(contents))


def _vocabulary(cards: Mapping[str, Card], shipped: Iterable[str]) -> frozenset[str]:
    """Words of answers, and of all that the installed cards say: none of them is anybody's."""
    texts = list(shipped)
    for card in cards.values():
        texts += card.labels.values()
        texts += [option for task in card.tasks.values() for option in task.options or ()]
    joined = normal(texts)
    cut = np.where(joined.codes == 0, ord(" "), joined.codes)
    marked = np.insert(cut, np.flatnonzero(joined.gaps), ord(" "))
    words = marked.astype("<u4").tobytes().decode("utf-32-le", "surrogatepass").split()
    return frozenset(word for word in words if word.isalpha())


class Scan:
    """A search of the files of a release, one after another, for `secrets`; those that `searched`
    has a receipt of are clean."""

    def __init__(self, secrets: Secrets, searched: Searched | None = None) -> None:
        self._secrets, self._searched = secrets, searched
        self._leaks: set[tuple[str, str]] = set()
        self._clean: set[int] = set()
        self.names: set[str] = set()

    def is_clean(self, name: str, sha256: str) -> bool:
        """Whether a file of this name and digest was searched before."""
        return self._searched is not None and self._searched.is_clean(name, sha256)

    def file(self, content: Path, name: str, sha256: str | None = None) -> None:
        """Search the content of a file, of a known digest or not, and its name in the release."""
        secrets, relative = self._secrets, PurePosixPath(name)
        self.names.add(name)
        sha256 = sha256 or file_digest(content)
        if self.is_clean(name, sha256):
            return
        found = set(_in_bytes(content, secrets))
        public = bool(secrets.public.intersection((relative.stem, *relative.parts[:-1])))
        of_file = texts_of(content, raw_paths=not public and name != "manifest.json")
        for texts in (list(relative.parts), *of_file):
            found.update(_in_texts(texts, secrets, self._clean))
        self._leaks |= {(name, what) for what in found}
        if not found and self._searched is not None:
            self._searched.note_clean(name, sha256)

    def became(self, change: str) -> tuple[Shard | None] | None:
        """What a change of a shard gave, if that is known from before."""
        return None if self._searched is None else self._searched.became(change)

    def note_became(self, change: str, after: Shard | None) -> None:
        """Remember what a change of a shard gave."""
        if self._searched is not None:
            self._searched.note_became(change, after)

    def forget(self) -> None:
        """Forget what was searched before."""
        if self._searched is not None:
            self._searched.forget()

    @property
    def leaks(self) -> list[Leak]:
        """Those found so far."""
        return [Leak(file, what) for file, what in sorted(self._leaks)]


def scan_outgoing(
    root: Path,
    secrets: Secrets,
    progress: ProgressCallback = silent,
    begun: Scan | None = None,
) -> list[Leak]:
    """Every leak in the files below `root` and in their names, and in what a scan has `begun` with;
    `progress` hears of files."""
    scan = begun or Scan(secrets)
    names = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    rest = sorted(names - scan.names)
    for done, name in enumerate(rest):
        progress(done, len(rest))
        scan.file(root / name, name)
    progress(len(rest), len(rest))
    return scan.leaks


def _in_bytes(path: Path, secrets: Secrets) -> Iterator[str]:
    if path.stat().st_size == 0:
        return
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        for what, needles in secrets.needles.items():
            if any(data.find(needle) >= 0 for needle in needles):
                yield what


def _in_texts(texts: Sequence[str], secrets: Secrets, clean: set[int]) -> Iterator[str]:
    for batch in _batches([text for text in texts if hash(text) not in clean]):
        found = frozenset(_kinds(batch, secrets))
        yield from found
        if not found and len(clean) < _REMEMBERED:
            clean.update(map(hash, batch))


def _kinds(texts: Sequence[str], secrets: Secrets) -> Iterator[str]:
    together = "\n".join(texts)
    raw = together.encode(errors="surrogatepass")
    for what, needles in secrets.needles.items():
        if any(needle in raw for needle in needles):
            yield what
    if _PATH.search(together):
        yield "an absolute path"
    if secrets.keys.naming([_unshipped(text, secrets.shipped) for text in texts]):
        yield "a raw patient or study key"


def _unshipped(text: str, shipped: frozenset[str]) -> str:
    """A text without what installed cards say too: all of it, or lines, as the options that a
    question lists."""
    if text in shipped:
        return ""
    return "\n".join("" if line in shipped else line for line in text.split("\n"))


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    size = 0
    for text in texts:
        batch.append(text)
        size += len(text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
