"""Other loaders in their own environment: `python peers.py NAME TASK IMAGES FOLDER`.

Prints records and CPU-seconds as JSON. Reading is one shuffled epoch through torch's DataLoader
with two workers and batches of 64; "decoded" uses the loader's own way to decode, and ", OpenCV"
decodes the raw bytes with cv2 instead. Imports nothing of qoqdata.
"""

from __future__ import annotations

import io
import json
import resource
import sys
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
from PIL import Image
from torch.utils.data import DataLoader

BATCH, WORKERS, SHARD, RUNS = 64, 2, 1000, 3
Records = Iterable[dict[str, Any]]


def read(images: Path) -> list[dict[str, Any]]:
    """Id, JPEG bytes and answer of each record."""
    lines = (images / "records.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [row | {"image": (images / f"{row['id']}.jpg").read_bytes()} for row in rows]


def write_huggingface(records: Records, folder: Path) -> None:
    import datasets

    kinds = {"id": datasets.Value("string"), "answer": datasets.Value("string")}
    features = datasets.Features(kinds | {"image": datasets.Image()})
    rows = list(records)
    for number, start in enumerate(range(0, len(rows), SHARD)):
        part = [{**row, "image": {"bytes": row["image"]}} for row in rows[start : start + SHARD]]
        shard = datasets.Dataset.from_list(part, features=features)
        shard.to_parquet(folder / f"train-{number:05d}.parquet", batch_size=100)


def read_huggingface(folder: Path, decode: bool) -> Iterable[Any]:
    import datasets

    files = sorted(map(str, folder.glob("*.parquet")))
    rows = datasets.load_dataset("parquet", data_files=files, streaming=True, split="train")
    rows = rows.cast_column("image", datasets.Image(decode=decode)).shuffle(0, buffer_size=1000)
    return rows.map(_to_array) if decode else rows


def write_webdataset(records: Records, folder: Path) -> None:
    import webdataset

    with webdataset.ShardWriter(f"file:{folder}/%05d.tar", maxcount=SHARD, verbose=0) as sink:
        for row in records:
            key = {"__key__": row["id"], "jpg": row["image"], "txt": row["answer"].encode()}
            sink.write(key)


def read_webdataset(folder: Path, decode: bool) -> Iterable[Any]:
    import webdataset

    files = sorted(map(str, folder.glob("*.tar")))
    rows = webdataset.WebDataset(files, shardshuffle=100, seed=0, empty_check=False).shuffle(1000)
    return rows.decode("rgb8") if decode else rows


def write_mosaic(records: Records, folder: Path) -> None:
    _without_torchvision()
    from streaming import MDSWriter

    columns = {"id": "str", "image": "bytes", "answer": "str"}
    with MDSWriter(out=str(folder), columns=columns) as sink:
        for row in records:
            sink.write(row)


def read_mosaic(folder: Path, decode: bool) -> Iterable[Any]:
    _without_torchvision()
    from streaming import StreamingDataset

    class Decoded(StreamingDataset):
        def __getitem__(self, at: int) -> Any:
            return _to_array(super().__getitem__(at))

    kind = Decoded if decode else StreamingDataset
    return kind(local=str(folder), shuffle=True, batch_size=BATCH)


def _without_torchvision() -> None:
    """Let mosaicml-streaming import where torchvision is not; it needs the name of one class."""
    from transformers.utils import is_torchvision_available

    # Asked first, since transformers remembers the answer and must not meet the stand-in.
    if is_torchvision_available():
        return
    for name in ("", ".datasets", ".transforms", ".transforms.functional"):
        module = ModuleType(f"torchvision{name}")
        module.__spec__, module.__file__, module.__path__ = (
            ModuleSpec(module.__name__, None),
            "",
            [],
        )
        module.VisionDataset = module.to_tensor = object  # type: ignore[attr-defined]
        sys.modules[module.__name__] = module


def write_litdata(records: Records, folder: Path) -> None:
    from litdata.streaming.writer import BinaryWriter

    writer = BinaryWriter(str(folder), chunk_bytes="16MB")
    for number, row in enumerate(records):
        writer.add_item(number, row)
    writer.done()
    writer.merge()


def read_litdata(folder: Path, decode: bool) -> Iterable[Any]:
    from litdata import StreamingDataset

    class Decoded(StreamingDataset):
        def __getitem__(self, at: Any) -> Any:
            return _to_array(super().__getitem__(at))

    return (Decoded if decode else StreamingDataset)(str(folder), shuffle=True)


PEERS: dict[str, tuple[Callable[..., None], Callable[..., Iterable[Any]]]] = {
    "datasets streaming": (write_huggingface, read_huggingface),
    "webdataset": (write_webdataset, read_webdataset),
    "mosaicml-streaming": (write_mosaic, read_mosaic),
    "litdata": (write_litdata, read_litdata),
}


def main(name: str, task: str, images: Path, folder: Path) -> None:
    """Do one task of one peer and print what it cost."""
    write, read_back = PEERS[name]
    if task == "write":
        records = read(images)
        folder.mkdir(parents=True)
        before = _spent()
        write(records, folder)
        print(json.dumps({"records": len(records), "seconds": _spent() - before}))  # noqa: T201
        return
    costs = []
    for _ in range(RUNS):
        rows = read_back(folder, task == "decoded")
        loader = _loader(name, rows, _decoded if task == "OpenCV" else _as_they_are)
        before = _spent()
        count = sum(len(batch) for batch in loader)
        del loader, rows
        costs.append(_spent() - before)
    print(json.dumps({"records": count, "seconds": min(costs)}))  # noqa: T201


def _loader(name: str, rows: Any, collate: Callable[[list[Any]], Any]) -> Iterable[list[Any]]:
    options: dict[str, Any] = {"batch_size": BATCH, "num_workers": WORKERS, "collate_fn": collate}
    if name == "litdata":
        from litdata import StreamingDataLoader

        return StreamingDataLoader(rows, **options)
    return DataLoader(rows, **options)


def _as_they_are(records: list[Any]) -> list[Any]:
    return records


def _decoded(records: list[Any]) -> list[Any]:
    """The records with their JPEG bytes decoded by OpenCV, in the worker."""
    return [_with_pixels(record) for record in records]


def _with_pixels(record: dict[str, Any]) -> dict[str, Any]:
    name = "jpg" if "jpg" in record else "image"
    data = record[name]["bytes"] if isinstance(record[name], dict) else record[name]
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    return {**record, name: pixels}


def _to_array(record: dict[str, Any]) -> dict[str, Any]:
    image = record["image"]
    image = Image.open(io.BytesIO(image)) if isinstance(image, bytes) else image
    return {**record, "image": np.asarray(image.convert("RGB"))}


def _spent() -> float:
    who = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = [resource.getrusage(w) for w in who]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
