"""Record ids and keyed hashes of raw keys.

Ids of public sources use a public salt, so that everybody gets the same id for the same study;
patients, studies and private sources are hashed with the site's secret (HMAC-SHA256, RFC 2104).
The secret never enters a data set: only its fingerprint does.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from qoqdata.errors import UsageError

PUBLIC_SALT = b"qoqdata/1/public"
SALT_VARIABLE = "QOQDATA_SALT_FILE"
SALT_BYTES = 32


@dataclass(frozen=True)
class Salt:
    """A site's secret key."""

    secret: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """16 hex digits that tell two salts apart and reveal neither."""
        return _hmac(self.secret, "salt fingerprint")[:16]


def record_id(
    source: str, study: str, task: str, item: str | None = None, *, salt: Salt | None
) -> str:
    """The id of a record: 32 hex digits over source, raw study key, task and, if any, item.

    Pass `salt` for private sources; None uses the public salt.
    """
    secret = PUBLIC_SALT if salt is None else salt.secret
    items = () if item is None else (item,)
    return _hmac(secret, "record", source, study, task, *items)[:32]


def keyed(kind: str, namespace: str, raw: str, *, salt: Salt) -> str:
    """The 32-digit keyed hash of a raw patient, study or path key within a namespace."""
    hasher = _begun(salt.secret, kind, namespace).copy()
    hasher.update(_framed(raw))
    return hasher.hexdigest()[:32]


def leading_numbers(messages: Iterable[bytes]) -> np.ndarray:
    """The first 8 bytes of the sha256 of each message as a number (uint64)."""
    sha256 = hashlib.sha256
    digests = b"".join([sha256(message).digest() for message in messages])
    return np.frombuffer(digests, ">u8")[::4].astype(np.uint64)


def default_salt_path() -> Path:
    """$QOQDATA_SALT_FILE, or `qoqdata/salt` under the user's configuration folder."""
    if path := os.environ.get(SALT_VARIABLE):
        return Path(path)
    config = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(config) / "qoqdata" / "salt"


def load_salt(path: Path | None = None, *, create: bool = True) -> Salt:
    """Read the site's salt, making one (mode 0600) at the first use.

    Raises UsageError when the file is missing and may not be made, cannot be read, or holds no
    salt.
    """
    path = path or default_salt_path()
    fix = "name one with --salt-file"
    try:
        if not path.exists():
            if not create:
                raise UsageError("there is no salt file", where=str(path), fix=fix)
            path.parent.mkdir(parents=True, exist_ok=True)
            _create_once(path, secrets.token_hex(SALT_BYTES) + "\n")
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        what = f"cannot be used as a salt file: {error.strerror}"
        raise UsageError(what, where=str(path), fix=fix) from error
    try:
        secret = bytes.fromhex(text)
    except ValueError:
        secret = b""
    if len(secret) < 16:
        raise UsageError(
            "is not a salt: at least 32 hexadecimal digits are expected",
            where=str(path),
            fix="restore the site's salt; a new one changes every private id",
        )
    return Salt(secret)


def _create_once(path: Path, text: str) -> None:
    """Write a whole new file or, when another process was first, leave its file alone."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text, encoding="ascii")
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _hmac(secret: bytes, *parts: str) -> str:
    hasher = _begun(secret).copy()
    hasher.update(b"".join(map(_framed, parts)))
    return hasher.hexdigest()


def _framed(part: str) -> bytes:
    # Length prefixes keep ("ab", "c") and ("a", "bc") apart.
    text = part.encode()
    return len(text).to_bytes(4, "big") + text


@lru_cache(maxsize=64)
def _begun(secret: bytes, *parts: str) -> hmac.HMAC:
    """The hash that has taken in the key, which costs as much as a short message, and parts that
    many messages begin with."""
    hasher = hmac.new(secret, digestmod="sha256")
    hasher.update(b"".join(map(_framed, parts)))
    return hasher
