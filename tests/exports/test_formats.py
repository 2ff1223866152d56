"""Each format, read back by the package that consumes it."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from qoqdata.answer_format import instruction
from qoqdata.dataset import Dataset
from qoqdata.exports import parquet
from qoqdata.exports.formats import FORMATS, write_export
from qoqdata.question import is_given
from qoqtrain.rewards import score, truth_of_record


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def without_ecg(wanted: dict[str, dict]) -> dict[str, dict]:
    return {id_: row for id_, row in wanted.items() if row["ecg"] is None}


def told_how(record: dict) -> str:
    """How to answer: boxes are asked for where they are the question."""
    marked = len(record["images"]) if record["kind"] == "boxes" else 0
    return f"\n\n{instruction(record, marked=marked, frame='thousandths')}"


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_counts_add_up(varied: Dataset, wanted: dict, tmp_path: Path) -> None:
    for kind in FORMATS:
        tally = write_export(varied, to=kind, out=tmp_path / kind)
        assert sum(tally.written.values()) + sum(tally.left_out.values()) == len(wanted)
        ecgs = len(wanted) - len(without_ecg(wanted))
        closed = kind in ("trl", "verl", "sharegpt")
        assert tally.left_out == ({"shows an ECG": ecgs} if closed else {})
        assert ecgs > 0


def test_same_set_same_bytes(varied: Dataset, tmp_path: Path) -> None:
    for kind in FORMATS:
        first, second = tmp_path / f"{kind}-a", tmp_path / f"{kind}-b"
        for out in (first, second):
            write_export(varied, to=kind, out=out)
        files = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
        assert files == sorted(p.relative_to(second) for p in second.rglob("*") if p.is_file())
        assert all((first / f).read_bytes() == (second / f).read_bytes() for f in files)


@pytest.mark.parametrize("kind", ["trl", "verl"])
def test_a_row_group_is_full_by_bytes_and_by_rows(
    varied: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A reader takes one into memory whole: a hundred large records would be too many."""

    def weights(name: str) -> list[list[int]]:
        tally = write_export(varied, to=kind, out=tmp_path / name)
        groups = []
        for split in tally.written:
            file = pq.ParquetFile(tmp_path / name / f"{split}.parquet")
            for number in range(file.num_row_groups):
                rows = file.read_row_group(number, columns=["images"])["images"].to_pylist()
                groups.append([sum(len(image["bytes"]) for image in row) for row in rows])
        return groups

    whole = weights("whole")
    assert any(len(group) > 4 for group in whole)
    bound = sum(max(whole, key=len)[:2])
    monkeypatch.setattr(parquet, "ROW_GROUP_BYTES", bound)
    light = weights("light")
    assert [one for group in light for one in group] == [one for group in whole for one in group]
    assert len(light) > len(whole) and all(sum(group[:-1]) < bound for group in light)
    monkeypatch.undo()
    monkeypatch.setattr(parquet, "ROW_GROUP", 3)
    assert max(len(group) for group in weights("few")) == 3


@pytest.mark.slow
def test_trl_sees_conversations_with_images(varied: Dataset, wanted: dict, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl.data_utils import is_conversational

    FORMATS["trl"](varied, tmp_path)
    loaded = load_dataset("parquet", data_files={"train": str(tmp_path / "train.parquet")})["train"]
    assert is_conversational(loaded[0])
    by_id = {row["id"]: row for row in loaded}
    train = {i: row for i, row in without_ecg(wanted).items() if row["split"] == "train"}
    assert by_id.keys() == train.keys()
    for id_, row in train.items():
        ((turn,), images) = by_id[id_]["prompt"], by_id[id_]["images"]
        assert turn["role"] == "user"
        assert [part["type"] for part in turn["content"]] == ["image"] * len(images) + ["text"]
        assert row["question"] in turn["content"][-1]["text"]
        assert [image.size for image in images] == [
            (info["width"], info["height"]) for info in row["image_info"]
        ]
        assert by_id[id_]["domain"] == row["domain"] and by_id[id_]["answer"] == row["answer"]
        assert json.loads(by_id[id_]["regions"]) == row["regions"]


def test_verl_rows(varied: Dataset, wanted: dict, tmp_path: Path) -> None:
    import polars as pl

    FORMATS["verl"](varied, tmp_path)
    files = sorted(tmp_path.glob("*.parquet"))
    rows = [row for path in files for row in pl.read_parquet(path).to_dicts()]
    for row in rows:
        record = wanted[row["extra_info"]["index"]]
        (turn,) = row["prompt"]
        shown = "<image>" * len(record["images"])
        told = turn["content"].removesuffix(told_how(record))
        assert turn["content"].startswith(shown) and told != turn["content"]
        if record["context"] is None and not any(map(is_given, record["regions"] or ())):
            assert told.removeprefix(shown) == record["question"]
        assert record["question"] in told
        assert row["images"] == record["images"]
        assert row["reward_model"] == {"style": "rule", "ground_truth": record["answer"]}
        assert (row["data_source"], row["domain"]) == (record["source"], record["domain"])
    assert len(rows) == len(without_ecg(wanted))


def test_verl_reads_it(varied: Dataset, wanted: dict, tmp_path: Path) -> None:
    """In an environment of its own: verl and this environment's transformers exclude each other."""
    pytest.importorskip("verl")
    from omegaconf import OmegaConf
    from verl.utils.dataset.rl_dataset import RLHFDataset

    FORMATS["verl"](varied, tmp_path)
    settings = {"prompt_key": "prompt", "image_key": "images", "filter_overlong_prompts": False}
    config = OmegaConf.create(settings | {"cache_dir": str(tmp_path / "cache")})
    files = [str(tmp_path / "train.parquet")]
    data = RLHFDataset(files, tokenizer=object(), processor=object(), config=config)
    assert len(data) == sum(row["split"] == "train" for row in without_ecg(wanted).values())
    for number in range(len(data)):
        row = data[number]
        record = wanted[row["extra_info"]["index"]]
        ((turn,), infos) = row["raw_prompt"], record["image_info"]
        shown = [part["image"].size for part in turn["content"] if part["type"] == "image"]
        assert shown == [(info["width"], info["height"]) for info in infos]
        last = turn["content"][-1]
        told = f"{record['question']}{told_how(record)}"
        assert last["type"] == "text" and last["text"].endswith(told_how(record))
        if record["context"] is None and not any(map(is_given, record["regions"] or ())):
            assert last["text"] == told
        assert record["question"] in last["text"]


@pytest.mark.slow
def test_trl_turns_sharegpt_into_messages(varied: Dataset, wanted: dict, tmp_path: Path) -> None:
    from trl.data_utils import maybe_convert_to_chatml

    FORMATS["sharegpt"](varied, tmp_path)
    for line in lines(tmp_path / "train.jsonl"):
        record = wanted[line["id"]]
        human, answer = maybe_convert_to_chatml(line)["messages"]
        assert (human["role"], answer["role"]) == ("human", "gpt")
        assert human["content"].count("<image>") == len(line["images"]) == len(record["images"])
        assert answer["content"].endswith(f"\\boxed{{{record['answer']}}}")
        (found,) = score([answer["content"]], [truth_of_record(record)], "accuracy")
        assert found["overall"] == 1.0
        for name, image in zip(line["images"], record["images"], strict=True):
            assert (tmp_path / name).read_bytes() == image["bytes"]


def unzipped(key: str, data: bytes) -> dict[str, bytes] | None:
    """What the documentation of the export hands to webdataset's decode()."""
    if not key.endswith(".zip"):
        return None
    with zipfile.ZipFile(io.BytesIO(data)) as media:
        return {name: media.read(name) for name in media.namelist()}


def holds(media: dict[str, bytes], record: dict) -> bool:
    """Whether a sample has each image, mask and signal of its record, and nothing else."""
    wanted = {
        f"images/{n}.{image['path'].rpartition('.')[2]}": image["bytes"]
        for n, image in enumerate(record["images"] or ())
    }
    wanted |= {f"masks/{n}.png": mask["bytes"] for n, mask in enumerate(record["masks"] or ())}
    media = dict(media)
    if ecg := record["ecg"]:
        for name, kind in (("signal", np.float32), ("valid", bool)):
            array = np.load(io.BytesIO(media.pop(f"ecg/{name}.npy")), allow_pickle=False)
            assert array.dtype == kind and np.array_equal(array, np.asarray(ecg[name], kind))
    return media == wanted


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_webdataset_decodes_samples(varied: Dataset, wanted: dict, tmp_path: Path) -> None:
    import webdataset as wds

    FORMATS["webdataset"](varied, tmp_path)
    files = [str(path) for path in sorted(tmp_path.glob("*.tar"))]
    samples = list(wds.WebDataset(files, shardshuffle=False).decode(unzipped))
    assert sorted(sample["__key__"] for sample in samples) == sorted(wanted)
    assert {tuple(name for name in sample if name[:2] != "__") for sample in samples} == {
        ("json", "media.zip")
    }
    for sample in samples:
        record = wanted[sample["__key__"]]
        assert holds(sample["media.zip"], record)
        assert sample["json"]["answer"] == record["answer"]
        whole = json.loads(sample["json"]["record"])
        for name in ("answer", "options", "regions", "image_info", "age"):
            assert whole[name] == record[name]
        if record["ecg"]:
            assert whole["ecg"]["leads"] == record["ecg"]["leads"]


def test_datasets_opens_the_tars_of_webdataset(
    varied: Dataset, wanted: dict, tmp_path: Path
) -> None:
    """All of each record, whatever the first ones of its split hold: here one has no ECG, mask,
    context or number, and others do."""
    from datasets import load_dataset

    FORMATS["webdataset"](varied, tmp_path)
    loaded = load_dataset(str(tmp_path), cache_dir=str(tmp_path / "cache"))
    rows = [row for part in loaded.values() for row in part]
    assert sorted(row["__key__"] for row in rows) == sorted(wanted)
    for row in rows:
        record = wanted[row["__key__"]]
        assert holds(unzipped("media.zip", row["media.zip"]) or {}, record)
        whole = json.loads(row["json"]["record"])
        for name in ("answer", "options", "regions", "number", "labels", "age", "split"):
            assert whole[name] == record[name]


@pytest.mark.parametrize("streaming", [False, True])
def test_datasets_opens_single_tars_without_being_told_anything(
    varied: Dataset, wanted: dict, tmp_path: Path, streaming: bool
) -> None:
    """It takes the columns of all tars from the first five samples of one: here these hold no
    context, number, age or mask, and later ones do."""
    from datasets import load_dataset

    FORMATS["webdataset"](varied, tmp_path / "tars")
    tars = [str(path) for path in sorted((tmp_path / "tars").glob("*.tar"))]
    rows = load_dataset(
        "webdataset",
        data_files={"train": tars},
        split="train",
        streaming=streaming,
        cache_dir=str(tmp_path / "cache"),
    )
    found = {row["__key__"]: row["json"] for row in rows}
    assert sorted(found) == sorted(wanted)
    assert len({tuple(row) for row in found.values()}) == 1
    for id_, row in found.items():
        for name in ("question", "answer", "split", "domain"):
            assert row[name] == wanted[id_][name]
        whole = json.loads(row["record"])
        for name in ("options", "labels", "age", "context", "number", "regions"):
            assert whole[name] == wanted[id_][name]


def test_climb_lines(varied: Dataset, wanted: dict, tmp_path: Path) -> None:
    FORMATS["climb"](varied, tmp_path)
    found = [row for path in tmp_path.glob("*.jsonl") for row in lines(path)]
    assert sorted(line["id"] for line in found) == sorted(wanted)
    for line in found:
        record = wanted[line["id"]]
        human, answer = line["conversations"]
        assert human == {"from": "human", "value": line["problem"]}
        assert answer == {"from": "gpt", "value": record["answer"]} and line["answer"]
        assert line["problem"].count("<image>") == len(line["images"])
        assert line["data_source"] == record["domain"] and line["dataset"] == record["source"]
        if record["ecg"]:
            signal = np.load(tmp_path / line["time-series"][0], allow_pickle=False)
            assert np.array_equal(signal, np.asarray(record["ecg"]["signal"], np.float32))
        if "bbox" in line:
            (region,) = [r for r in record["regions"] if r["image"] == 0]
            assert line["bbox"] == [region[k] for k in ("x_min", "y_min", "x_max", "y_max")]
        if "segmentation_path" in line:
            mask = (tmp_path / line["segmentation_path"]).read_bytes()
            assert mask == record["masks"][0]["bytes"]
    assert any("bbox" in line for line in found)
    for line in found:
        record = wanted[line["id"]]
        said = [f"sex: {record['sex'].capitalize()}"] if record["sex"] else []
        said += [f"age: {record['age']}"] if record["age"] is not None else []
        assert line.get("demo", "") == ", ".join(said)
