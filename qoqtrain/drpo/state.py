"""The estimator's state as plain data: written to checkpoints, compared across ranks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from qoqdata.errors import UsageError
from qoqtrain.drpo.clustering.bins import Bins, Memory, Vectors
from qoqtrain.drpo.priors import Priors
from qoqtrain.drpo.settings import DRPOSettings

VERSION = 1


def write_state(
    settings: DRPOSettings, domain_key: str, priors: Priors, history: Mapping[str, Memory]
) -> dict[str, Any]:
    """The whole estimator as a dict of plain Python values; JSON keeps every bit of it."""
    return {
        "version": VERSION,
        "settings": asdict(settings),
        "domain_key": domain_key,
        "priors": priors.to_state(),
        "history": {domain: history[domain].to_state() for domain in sorted(history)},
    }


def read_history(state: Mapping[str, Any], settings: DRPOSettings) -> dict[str, Memory]:
    """The memories of `write_state`; raises UsageError when they are damaged."""
    try:
        return {
            str(domain): Bins.from_state(held, settings.bins)
            if settings.kmeans == "binned"
            else Vectors.from_state(held)
            for domain, held in state["history"].items()
        }
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise UsageError(f"the history is damaged ({error})", where="DRPO state") from error


def read_settings(state: Mapping[str, Any]) -> DRPOSettings:
    """The settings of `write_state`; raises UsageError for another version or damaged ones."""
    version = state.get("version") if isinstance(state, Mapping) else None
    if version != VERSION:
        raise UsageError(
            f"is of version {version!r}, this is version {VERSION}",
            where="DRPO state",
            fix="load the state with the release that wrote it",
        )
    written = state.get("settings")
    if not isinstance(written, Mapping) or set(written) != {f.name for f in fields(DRPOSettings)}:
        raise UsageError("the settings are damaged", where="DRPO state")
    return DRPOSettings(**written)


def read_domain_key(state: Mapping[str, Any]) -> str:
    """The domain key of `write_state`; raises UsageError when there is none."""
    key = state.get("domain_key")
    if not isinstance(key, str):
        raise UsageError(f"has the domain key {key!r}", where="DRPO state")
    return key


def read_priors(state: Mapping[str, Any]) -> Priors:
    """The priors of `write_state`; raises UsageError when they are damaged."""
    try:
        return Priors.from_state(state["priors"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the priors are damaged ({error})", where="DRPO state") from error


def refuse_other(
    state: Mapping[str, Any], settings: DRPOSettings, domain_key: str, priors: Priors
) -> None:
    """Raise UsageError when `state` was written with other settings, domain key or data."""
    theirs, ours = asdict(read_settings(state)), asdict(settings)
    differences = [
        f"{name} is {theirs[name]!r} there and {ours[name]!r} here"
        for name in ours
        if theirs[name] != ours[name]
    ]
    if (key := read_domain_key(state)) != domain_key:
        differences.append(f"domain_key is {key!r} there and {domain_key!r} here")
    if (digest := read_priors(state).digest) != priors.digest:
        differences.append(f"the data has digest {digest!r} there and {priors.digest!r} here")
    if differences:
        raise UsageError(
            "; ".join(differences),
            where="DRPO state",
            fix="resume with the settings and data of the checkpoint, or start without its state",
        )


def checksum(state: Mapping[str, Any]) -> str:
    """SHA-256 of a state, as hex; equal states have equal checksums whatever their key order."""
    return hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()
