"""Containers of the same few members, written by each format's own library."""

from __future__ import annotations

import base64
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

Members = Mapping[str, bytes]


def write_zip(path: Path, members: Members) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def write_tar(path: Path, members: Members) -> Path:
    """Plain or, by the suffix, gzipped."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_parquet(path: Path, members: Members) -> Path:
    """As Hugging Face stores images: a struct of bytes and path, here in groups of two rows."""
    cells = [{"bytes": content, "path": None} for content in members.values()]
    pq.write_table(pa.table({"id": list(members), "image": cells}), path, row_group_size=2)
    return path


def write_tsv(path: Path, members: Members) -> Path:
    """With a quoted text of several lines before each image, as pandas writes them."""
    lines = ["index\tquestion\timage"]
    for name, content in members.items():
        text = base64.b64encode(content).decode()
        lines.append(f'{name}\t"Is ""this""\n\ta nodule?"\t{text}')
    path.write_text("\n".join(lines) + "\n")
    return path


def write_hdf5(path: Path, members: Members) -> Path:
    import h5py
    import numpy as np

    with h5py.File(path, "w") as file:
        for name, content in members.items():
            file[name] = np.frombuffer(content, np.uint8)
    return path


def write_lmdb(path: Path, members: Members) -> Path:
    import lmdb

    with (
        lmdb.open(str(path), subdir=path.suffix == ".lmdb", map_size=2**22) as environment,
        environment.begin(write=True) as transaction,
    ):
        for name, content in members.items():
            transaction.put(name.encode(), content)
    return path


#: File, its writer, and the member that a name becomes there.
FORMATS: dict[str, tuple[Callable[[Path, Members], Path], str]] = {
    "a.zip": (write_zip, "{}"),
    "a.tar": (write_tar, "{}"),
    "a.tar.gz": (write_tar, "{}"),
    "a.tgz": (write_tar, "{}"),
    "a.parquet": (write_parquet, "image[id={}]"),
    "a.tsv": (write_tsv, "image[index={}]"),
    "a.h5": (write_hdf5, "{}"),
    "a.lmdb": (write_lmdb, "{}"),
    "a.mdb": (write_lmdb, "{}"),
}
#: What a format needs beside what is always there.
LIBRARIES = {".h5": "h5py", ".lmdb": "lmdb", ".mdb": "lmdb"}
