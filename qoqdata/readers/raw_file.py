"""Raw files as readers get them: read once, with the digest of the very bytes that are decoded.

Readers look at files and open them here and nowhere else, and so read members of containers
(`file#member`, see `qoqdata.readers.container`) as they read files. Inside `taking_digests` a file
of up to WHOLE_BYTES comes into memory as a whole, is digested there, and every reader is given
those bytes, however many look at it; a larger one, and one that a library opens by its path, is
digested on its own afterwards. A member always comes into memory; its digest is that of its
content, the same as of the unpacked file.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import BinaryIO

import numpy as np
from blake3 import blake3

from qoqdata.errors import MissingFile, MissingKey, UnreadableFile, UnsupportedFormat
from qoqdata.readers.container.address import Address, address, container_state
from qoqdata.readers.container.contents import HoldsArrays
from qoqdata.readers.container.opened import State, file_state, open_container
from qoqdata.readers.limits import DEFAULT_LIMITS, Limits
from qoqdata.readers.ranged_stream import RangedStream

#: What makes the digests: BLAKE3 needs no SHA instructions to be fast. Published SHA256SUMS are
#: checked where files are fetched, not here.
DIGEST = "blake3"
#: Larger files are not taken into memory for their digest.
WHOLE_BYTES = 256 * 2**20
_STEP = 1 << 20
#: What is not opened: a pipe waits for a writer, and a device may do anything.
_SPECIAL = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


#: Bytes that are fetched at once of a file elsewhere: headers of images seldom are longer.
_AHEAD = 1 << 15


@dataclass(frozen=True)
class RangedFile:
    """A file elsewhere, of `size` bytes, of which `read(begin, end)` fetches what a reader looks
    at. `name` is for messages."""

    name: str
    size: int
    read: Callable[[int, int], bytes]

    def __str__(self) -> str:
        return self.name


def joint_digest(names: Iterable[str], digest_of: Callable[[str], bytes]) -> str:
    """BLAKE3 over the digests of files in the order given.

    Raises UnreadableFile for a folder or a failing disk, and what else `digest_of` raises.
    """
    total = blake3()
    for name in names:
        try:
            total.update(digest_of(name))
        except OSError as error:
            raise UnreadableFile(f"cannot be read: {error.strerror}", where=name) from error
    return total.hexdigest()


@dataclass
class RawDigests:
    """Digests of what was read, by device, inode, size and modification time, and by member."""

    _by_state: dict[Hashable, bytes] = field(default_factory=dict)
    _contents: dict[Hashable, bytes] = field(default_factory=dict)

    def of(self, path: Path, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
        """The 32-byte digest of a file or member: as it was read, or else of what lies there now.

        Raises OSError, and for a member what its container raises.
        """
        if (member := address(path)) is not None:
            if (known := self._by_state.get(_member_state(member))) is not None:
                return known
            return blake3(self.member_content(member, limits)).digest()
        if (digest := self.of_state(file_state(path.stat()))) is None:
            hasher = blake3()
            with open_regular(path) as file:
                while block := file.read(_STEP):
                    hasher.update(block)
            digest = hasher.digest()
        return digest

    def of_state(self, state: State) -> bytes | None:
        """The digest of a file on disk that was read and had this state; None for any other."""
        return self._by_state.get(state)

    def content(self, state: State, file: BinaryIO) -> bytes:
        """The content of an open file, kept for the next reader of it; its digest is noted."""
        if (content := self._contents.get(state)) is None:
            # At once: a file that is read to its end is asked three times more where that is.
            content = file.read(state[2])
            if len(content) < state[2] or not content:
                content += file.read()
            if len(content) == state[2]:
                self._keep(state, content)
        return content

    def member_content(self, member: Address, limits: Limits) -> bytes:
        """As `content`, for a member of a container."""
        state = _member_state(member)
        if (content := self._contents.get(state)) is None:
            content = open_container(member.path).read(member.member, limits)
            self._keep(state, content)
        return content

    def _keep(self, state: Hashable, content: bytes) -> None:
        self._by_state[state] = blake3(content).digest()
        self._contents[state] = content
        while sum(map(len, self._contents.values())) > WHOLE_BYTES:
            del self._contents[next(iter(self._contents))]


_DIGESTS: ContextVar[RawDigests | None] = ContextVar("digests", default=None)


@contextmanager
def taking_digests() -> Iterator[RawDigests]:
    """Digest the files that readers read inside."""
    digests = RawDigests()
    token = _DIGESTS.set(digests)
    try:
        yield digests
    finally:
        _DIGESTS.reset(token)


def open_raw_file(path: Path | RangedFile, *, limits: Limits = DEFAULT_LIMITS) -> BinaryIO:
    """A file to read from: the file itself, or its content in memory.

    Raises OSError; for a member, MissingFile, TooLarge and what else its container raises.
    """
    if isinstance(path, RangedFile):
        return BufferedReader(RangedStream(path.read, path.size), _AHEAD)
    digests = _DIGESTS.get()
    if (member := address(path)) is not None:
        return BytesIO((digests or RawDigests()).member_content(member, limits))
    file = open_regular(path)
    if digests is None:
        return file
    state = file_state(os.fstat(file.fileno()))
    if state[2] > WHOLE_BYTES:
        return file
    with file:
        return BytesIO(digests.content(state, file))


def open_regular(path: Path) -> BinaryIO:
    """A file on disk to read from. Raises OSError, and UnreadableFile for a pipe or device."""
    refuse_special(path.stat().st_mode, where=str(path))
    return path.open("rb")


def refuse_special(mode: int, *, where: str) -> None:
    """Raise UnreadableFile for the mode of a pipe, a socket or a device."""
    if (kind := _SPECIAL.get(stat.S_IFMT(mode))) is not None:
        fix = "put a regular file in its place, or take it out of the raw folder"
        raise UnreadableFile(f"is {kind}, which is never opened", where=where, fix=fix)


def read_raw_file(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The content of a file or member. Raises as `open_raw_file`."""
    with open_raw_file(path, limits=limits) as file:
        return file.getvalue() if isinstance(file, BytesIO) else file.read()


def read_bounded_file(path: Path, limits: Limits, *, where: str) -> bytes:
    """The content of a file or member of at most `limits.file_bytes`, looked up before it is read.

    Raises as `open_raw_file`, and TooLarge, which names `where`.
    """
    digests = _DIGESTS.get()
    if digests is None or address(path) is not None:
        limits.check("file_bytes", raw_state(path, limits=limits)[1], where=where)
        return read_raw_file(path, limits=limits)
    status = path.stat()
    refuse_special(status.st_mode, where=str(path))
    limits.check("file_bytes", status.st_size, where=where)
    with path.open("rb", buffering=0) as file:
        state = file_state(os.fstat(file.fileno()))
        return file.readall() if state[2] > WHOLE_BYTES else digests.content(state, file)


def read_raw_array(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> np.ndarray:
    """The values of a dataset of an HDF5 file, in their own dtype and shape; not writable.

    Raises as `open_raw_file`, and UnsupportedFormat for anything else.
    """
    member = address(path)
    container = None if member is None else open_container(member.path)
    if member is None or not isinstance(container, HoldsArrays):
        raise UnsupportedFormat("holds no array", where=str(path), fix="read its bytes")
    dtype, shape = container.layout(member.member)
    if dtype.kind not in "biufc":
        raise UnsupportedFormat(f"holds {dtype}, no numbers", where=str(path))
    return np.frombuffer(read_raw_file(path, limits=limits), dtype).reshape(shape)


def raw_state(path: Path | RangedFile, *, limits: Limits = DEFAULT_LIMITS) -> tuple[int, int]:
    """Mode and size in bytes of what lies at `path`; a member has the mode of its container.

    Raises as `open_raw_file`.
    """
    if isinstance(path, RangedFile):
        return stat.S_IFREG, path.size
    if (member := address(path)) is None:
        status = path.stat()
        return status.st_mode, status.st_size
    state = container_state(member.path)
    size = open_container(member.path).size(member.member)
    if size is None:
        size = len((_DIGESTS.get() or RawDigests()).member_content(member, limits))
    return (state.st_mode if state else 0), size


def is_raw_file(path: Path) -> bool:
    """Whether `path` is a regular file or a member; raises for a member that cannot be read."""
    if (member := address(path)) is None:
        return path.is_file()
    try:
        open_container(member.path).check(member.member)
    except (MissingFile, MissingKey):
        return False
    return True


def raw_name(path: Path) -> str:
    """The last part of the name, of a member without the container."""
    member = address(path)
    return path.name if member is None else member.member.rpartition("/")[2]


@contextmanager
def local_file(path: Path, *, limits: Limits = DEFAULT_LIMITS) -> Iterator[Path]:
    """A file that a library can open by its path: a member lies there for the while.

    The suffix is that of `path`. Raises as `open_raw_file`.
    """
    if address(path) is None:
        refuse_special(path.stat().st_mode, where=str(path))
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="qoqdata-member-") as folder:
        copy = Path(folder) / f"member{path.suffix}"
        copy.write_bytes(read_raw_file(path, limits=limits))
        yield copy


def _member_state(member: Address) -> Hashable:
    status = container_state(member.path)
    return status and file_state(status), member.member
