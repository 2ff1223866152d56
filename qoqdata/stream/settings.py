"""How a stream is asked for: one frozen value, checked when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from qoqdata.contract.record import RECORD
from qoqdata.contract.vocabulary import SPLITS
from qoqdata.errors import UsageError
from qoqdata.stream.mixing import Mix

if TYPE_CHECKING:
    import polars as pl

    from qoqdata.concepts import ConceptTable
    from qoqdata.stream.decode import Budget

Images = Literal["bytes", "array", "pil"]
Purpose = Literal["training", "evaluation"]
Unit = Literal["row_group", "shard"]
OnBad = Literal["stop", "next"]
Even = Literal["drop", "pad"]


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """What is streamed, in which order, and how it is read.

    Which records: `split`, `where` (a polars expression over light record columns, `n_images`,
    `pixels`, `text_tokens` and, with a table of `concepts`, the lists `concepts`,
    `uncertain_concepts` and `absent_concepts`), `max_pixels` (width x height summed over the images
    as stored) and `max_tokens` (of text, estimated from its length; see `qoqdata.stream.index`).

    For which `purpose`: training leaves out the records of evaluation sources, whatever the split
    (`Stream.left_out` counts them); evaluation takes those of all sources, without a mix.

    Order: `seed`, `shuffle`, `mix`, and how far rows are mixed: about `lanes` x `window` row groups
    are open at a time (and one a component of a mix), fewer when they would take more than `memory`
    bytes; processes whose number divides `lanes` share them, except in a mix, where each reads all
    unless there is a `step`.
    `unit="shard"` keeps the row groups of a shard together, so that a remote shard is fetched
    about once an epoch.

    Reading: `columns` (None: all), `images` (stored bytes, uint8 arrays or PIL images), `budget`
    (pixels of what the policy sees), `change` (what becomes of a record before its images are
    decoded, such as `qoqdata.blanking(dataset)`), `workers` (threads; 0 reads in the caller's),
    `prefetch` (records made ahead; None: 256 as bytes, 32 decoded), `on_bad` and `bad_log` (JSON
    lines), `verify` (check each shard's sha256 before its first use), `shared` (a folder, best in
    memory, in which the processes of a machine keep row groups of `memory` bytes: what one has
    read and decompressed the others map).

    Share: this is process `rank` of `world`; one loop over the stream lasts `epochs` epochs
    (None: for ever). Where the processes do not divide its records, some have one more, unless
    `even` says otherwise: `drop` leaves the last ones out, `pad` adds the first ones of the epoch
    that follows. `step`: so many draws, of all processes, that training takes together; each then
    takes those of its own row groups, as far as it has room for them, instead of draws in turn
    (see `homes`). A state is saved between steps, and any number of processes that divides a step
    goes on from it to the same steps.
    """

    split: str = "train"
    purpose: Purpose = "training"
    where: pl.Expr | None = None
    concepts: ConceptTable | None = None
    max_pixels: int | None = None
    max_tokens: int | None = None
    seed: int = 0
    shuffle: bool = True
    mix: Mix | None = None
    lanes: int = 64
    window: int = 4
    unit: Unit = "row_group"
    memory: int = 2 * 2**30
    columns: tuple[str, ...] | None = None
    images: Images = "bytes"
    budget: Budget | None = None
    change: Callable[[Mapping[str, Any]], dict[str, Any]] | None = None
    workers: int = 2
    prefetch: int | None = None
    shared: Path | None = None
    on_bad: OnBad = "stop"
    bad_log: Path | None = None
    verify: bool = False
    rank: int = 0
    world: int = 1
    epochs: int | None = None
    even: Even | None = None
    step: int | None = None

    def __post_init__(self) -> None:
        for name, choices in (
            ("split", SPLITS),
            ("purpose", get_args(Purpose)),
            ("images", get_args(Images)),
            ("unit", get_args(Unit)),
            ("on_bad", get_args(OnBad)),
        ):
            if (value := getattr(self, name)) not in choices:
                fix = f"one of {', '.join(choices)}"
                raise UsageError(f"{value!r} is not known", where=name, fix=fix)
        for name, least in (("lanes", 1), ("window", 1), ("memory", 1), ("world", 1)):
            _at_least(name, getattr(self, name), least)
        _at_least("workers", self.workers, 0)
        for name in ("max_pixels", "max_tokens", "prefetch", "epochs"):
            if getattr(self, name) is not None:
                _at_least(name, getattr(self, name), 1)
        if self.even not in (None, *get_args(Even)):
            raise UsageError(f"{self.even!r} is not known", where="even", fix="drop or pad")
        if self.even is not None and self.epochs is None:
            raise UsageError("needs loops that end", where="even", fix="give epochs, such as 1")
        if not 0 <= self.rank < self.world:
            raise UsageError(f"{self.rank} is not in 0..{self.world - 1}", where="rank")
        if self.step is not None:
            _at_least("step", self.step, 1)
            if self.step % self.world:
                what = f"{self.step} draws cannot be shared by {self.world} processes"
                raise UsageError(what, where="step", fix="give a multiple of world")
            if self.epochs is not None:
                raise UsageError("needs a stream without end", where="step", fix="leave epochs out")
        if self.budget is not None and self.images == "bytes":
            fix = 'open with images="array" or images="pil"'
            raise UsageError("encoded images cannot be resized", where="budget", fix=fix)
        if self.mix is not None and not self.shuffle:
            raise UsageError("draws at random, so it needs shuffle=True", where="mix")
        if self.mix is not None and self.purpose != "training":
            raise UsageError("is for training", where="mix", fix="leave it out, or purpose too")
        if self.change is not None and "id" not in self.read_columns:
            raise UsageError("needs the id of a record", where="change", fix="add id to columns")
        for name in self.columns or ():
            if name not in RECORD.names:
                fix = f"one of {', '.join(RECORD.names)}"
                raise UsageError(f"{name!r} is no column of a record", where="columns", fix=fix)

    @property
    def read_columns(self) -> tuple[str, ...]:
        """The record columns that are read, in schema order."""
        return tuple(n for n in RECORD.names if self.columns is None or n in self.columns)

    @property
    def ahead(self) -> int:
        """Records made ahead of the consumer."""
        return self.prefetch or (256 if self.images == "bytes" else 32)

    def order(self) -> dict[str, Any]:
        """What the order of given records depends on, for the state of a stream."""
        if not self.shuffle:
            return {"shuffle": False}
        keys = ("seed", "lanes", "window", "unit", "memory")
        order = {"shuffle": True} | {key: getattr(self, key) for key in keys}
        if self.mix is not None and "concept" in self.mix.levels:
            assert self.concepts is not None
            order["concepts"] = self.concepts.digest[:16]
        return order | ({} if self.mix is None else {"mix": self.mix.fingerprint})


def parse_stream_settings(settings: Mapping[str, Any], **overrides: Any) -> StreamSettings:
    """Settings by name; raises UsageError for a name that is none."""
    names = [field.name for field in fields(StreamSettings)]
    for name in settings:
        if name not in names:
            fix = f"one of {', '.join(names)}"
            raise UsageError(f"{name!r} is no setting of a stream", where="stream", fix=fix)
    return StreamSettings(**{**settings, **overrides})


def _at_least(name: str, value: Any, least: int) -> None:
    if not isinstance(value, int) or value < least:
        raise UsageError(f"is {value!r}; an integer of at least {least} is wanted", where=name)
