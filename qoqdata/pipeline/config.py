"""What to build, from the command line or build.yaml, and how to run the build."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from qoqdata.contract.manifest import MAX_QUARANTINE
from qoqdata.contract.storage import Storage
from qoqdata.pipeline import progress
from qoqdata.readers.limits import Limits
from qoqdata.records.identity import Salt
from qoqdata.remote.urls import is_url
from qoqdata.settings import checked, load_mapping


def parse_share(value: Any) -> Any:
    """A share from 0 to 1 as a float: of a number below 1, or of per cent as text ("1%").

    Raises ValueError for others; 1 alone could be 1 % or all.
    """
    if value is None:
        return None
    text = str(value).strip()
    try:
        share = Decimal(text.removesuffix("%").rstrip())
    except InvalidOperation:
        share = Decimal("NaN")
    if not share.is_finite():
        raise ValueError(f"{value!r} is no share: write it as 0.01 or 1%")
    if text.endswith("%"):
        share /= 100
    elif share >= 1:
        raise ValueError(f"{value} is no share below 1: write 1% or 100%, if that is meant")
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} is no share: it lies between 0 and 1, or 0% and 100%")
    return float(share)


Share = Annotated[float, Field(ge=0, le=1), BeforeValidator(parse_share)]


def _place(value: Path | str) -> Path | str:
    return value if not isinstance(value, str) or is_url(value) else Path(value)


#: A folder, or a URL as text.
RawPlace = Annotated[str | Path, AfterValidator(_place)]


class SourceRequest(BaseModel):
    """One source to build. `raw` is its raw root, a folder or a URL; `mounts` are further roots, by
    folder name; `inventory` lists the files of a URL."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    raw: RawPlace
    inventory: Path | None = Field(None, description="instead of asking the URL for its files")
    mounts: dict[str, Path] = {}
    options: dict[str, Any] = {}
    mapping: Path | dict[str, Any] | None = None
    storage: Storage | None = Field(None, description="instead of the build's own")
    max_quarantine: Share | None = Field(None, description="instead of the build's own")


class BuildConfig(BaseModel):
    """A whole build. Paths in a file are relative to that file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    sources: tuple[SourceRequest, ...] = Field(min_length=1)
    limits: Limits = Limits()
    storage: Storage | None = Field(None, description="instead of the cards' own")
    max_quarantine: Share = Field(
        MAX_QUARANTINE, description="share of a source's units that may be in quarantine"
    )
    limit: int | None = Field(None, ge=1, description="first units of each source only")
    shard_units: int | None = Field(None, ge=1, description="instead of the cards' own")
    patient_splits: dict[str, Literal["hash"] | Path] = Field(
        {}, description="by namespace: the table of its patients' official splits, or hash"
    )

    @model_validator(mode="after")
    def _mapping_tells_repeats_apart(self) -> Self:
        plain = [request.source for request in self.sources if request.mapping is None]
        if len(set(plain)) < len(plain):
            raise ValueError("a source is requested twice")
        return self


class Overrides(BaseModel):
    """What is asked for all sources of one run, before any file says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    storage: Storage | None = None
    max_quarantine: Share | None = None


NO_OVERRIDES = Overrides()


@dataclass(frozen=True)
class BuildSetting:
    """How to run a build. `workers` 0 stays in this process, and on Ray takes all cores of the
    cluster; `resume` False redoes every chunk."""

    salt: Salt
    workers: int = 1
    engine: str = "local"
    #: Of the cluster, for the engine ray; None is one of this machine.
    address: str | None = None
    resume: bool = True
    listen: progress.Listener = progress.silent
    overrides: Overrides = NO_OVERRIDES


def load_config(path: Path) -> BuildConfig:
    """The configuration at `path`; UsageError names the field at fault."""
    config = parse_config(load_mapping(path), where=str(path))
    base = path.resolve().parent
    return config.model_copy(
        update={
            "sources": tuple(_anchored(request, base) for request in config.sources),
            "patient_splits": {
                name: base / choice if isinstance(choice, Path) else choice
                for name, choice in config.patient_splits.items()
            },
        }
    )


def parse_config(content: dict[str, Any], *, where: str) -> BuildConfig:
    """A configuration from plain values; UsageError names the field at fault."""
    return checked(BuildConfig, content, where=where)


def _anchored(request: SourceRequest, base: Path) -> SourceRequest:
    mapping = request.mapping
    return request.model_copy(
        update={
            "raw": request.raw if isinstance(request.raw, str) else base / request.raw,
            "inventory": request.inventory and base / request.inventory,
            "mounts": {name: base / root for name, root in request.mounts.items()},
            "mapping": base / mapping if isinstance(mapping, Path) else mapping,
        }
    )
