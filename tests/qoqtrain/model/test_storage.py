"""Policies on disk."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.data.batch import ModelInputs
from qoqtrain.data.collate import Collator
from qoqtrain.model.ecg_config import EcgConfig
from qoqtrain.model.loading import load_policy
from qoqtrain.model.policy import Policy
from qoqtrain.model.processor import Processor
from qoqtrain.model.tiny import TINY_ECG, tiny_policy, write_tiny
from tests.qoqtrain.model.clinical import texts


def logits(policy: Policy, batch: ModelInputs) -> torch.Tensor:
    with torch.no_grad():
        return policy.eval()(**batch.inputs())


@pytest.mark.parametrize("by", ["parameters", "state dict"])
def test_saved_and_loaded(
    made: tuple[Policy, Processor], batch: ModelInputs, tmp_path: Path, by: str
) -> None:
    policy, processor = made
    state = policy.state_dict() if by == "state dict" else None
    policy.save_pretrained(tmp_path, state)
    processor.save_pretrained(tmp_path)
    loaded, again = load_policy(tmp_path, dtype="float32")
    assert torch.equal(logits(loaded, batch), logits(policy, batch))
    assert again.ecg == processor.ecg
    assert loaded.silent_tokens == policy.silent_tokens
    assert loaded.family == policy.family
    assert again.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    assert again.image_processor.size == processor.image_processor.size


def test_the_language_model_part_is_transformers_own(
    made: tuple[Policy, Processor], batch: ModelInputs, tmp_path: Path
) -> None:
    from transformers import AutoModelForImageTextToText

    policy, _ = made
    policy.save_pretrained(tmp_path)
    plain = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    images = batch.take([1])
    with torch.no_grad():
        found = plain(**images.inputs()).logits
    torch.testing.assert_close(found, logits(policy, images), atol=2e-5, rtol=2e-5)
    names = {path.name for path in tmp_path.glob("*.safetensors")}
    assert names == {"model.safetensors"}  # tools that read all of them find nothing foreign


def test_without_an_ecg_branch(tmp_path: Path) -> None:
    write_tiny(tmp_path, "qwen3_vl", texts=texts(), ecg=None)
    assert not (tmp_path / "ecg").exists()
    policy, processor = load_policy(tmp_path)
    assert policy.ecg is None and processor.ecg is None
    with pytest.raises(UsageError, match="reads no ECG"):
        processor.ecg_token_id  # noqa: B018


def test_a_new_branch_on_a_plain_model(tmp_path: Path) -> None:
    write_tiny(tmp_path, "qwen2_5_vl", texts=texts(), ecg=None)
    one, processor = load_policy(tmp_path, ecg=TINY_ECG, seed=3)
    two, _ = load_policy(tmp_path, ecg=TINY_ECG, seed=3)
    other, _ = load_policy(tmp_path, ecg=TINY_ECG, seed=4)
    assert one.ecg is not None and two.ecg is not None and other.ecg is not None
    for name, value in one.ecg.state_dict().items():
        assert torch.equal(value, two.ecg.state_dict()[name])
    weight = one.ecg.projector.weight
    assert not torch.equal(weight, other.ecg.projector.weight)
    assert processor.ecg == TINY_ECG


def test_a_placeholder_beyond_the_vocabulary_gets_a_row(tmp_path: Path) -> None:
    from qoqtrain.model.ecg_config import TOKEN

    write_tiny(tmp_path, "qwen3_vl", texts=texts(), ecg=None)
    _rename_token(tmp_path, TOKEN, "<|other|>")
    policy, processor = load_policy(tmp_path, ecg=TINY_ECG)
    rows = policy.vlm.get_input_embeddings().weight.shape[0]
    assert processor.tokenizer.convert_tokens_to_ids(TOKEN) == processor.ecg_token_id
    assert processor.ecg_token_id == len(processor.tokenizer) - 1 < rows
    assert policy.config.text_config.vocab_size == rows


def _rename_token(folder: Path, old: str, new: str) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        path = folder / name
        path.write_text(path.read_text().replace(old, new))


def test_bounds_of_images_can_be_set(tmp_path: Path) -> None:
    write_tiny(tmp_path, "qwen3_vl", texts=texts())
    _, processor = load_policy(tmp_path, min_pixels=32 * 32, max_pixels=96 * 96)
    assert processor.seen_size(500, 500) == (96, 96)
    with pytest.raises(UsageError, match="impossible"):
        load_policy(tmp_path, max_pixels=100)


def test_settings_that_contradict_the_stored_ones(tmp_path: Path) -> None:
    write_tiny(tmp_path, "qwen3_vl", texts=texts())
    with pytest.raises(UsageError, match="other settings"):
        load_policy(tmp_path, ecg=EcgConfig())


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def changed(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def without_a_weight(path: Path, short: bool = False) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(path)
    name = sorted(weights)[-1]
    if short:
        weights[name] = weights[name][:1].clone()
    else:
        del weights[name]
    save_file(weights, path, metadata={"format": "pt"})


DAMAGE: dict[str, Any] = {
    "no weights": lambda d: (d / "model.safetensors").unlink(),
    "torn weights": lambda d: torn(d / "model.safetensors"),
    "a weight less": lambda d: without_a_weight(d / "model.safetensors"),
    "a short weight": lambda d: without_a_weight(d / "model.safetensors", short=True),
    "no config": lambda d: (d / "config.json").unlink(),
    "torn config": lambda d: torn(d / "config.json"),
    "another family": lambda d: changed(d / "config.json", model_type="llama"),
    "no tokenizer": lambda d: (d / "tokenizer.json").unlink(),
    "torn tokenizer": lambda d: torn(d / "tokenizer.json"),
    "no image processor": lambda d: (d / "preprocessor_config.json").unlink(),
    "no ECG weights": lambda d: (d / "ecg/model.safetensors").unlink(),
    "torn ECG weights": lambda d: torn(d / "ecg/model.safetensors"),
    "an ECG weight less": lambda d: without_a_weight(d / "ecg/model.safetensors"),
    "torn ECG config": lambda d: torn(d / "ecg/config.json"),
    "ECG config of a list": lambda d: (d / "ecg/config.json").write_text("[]"),
    "other ECG width": lambda d: changed(d / "ecg/config.json", width=64),
    "unknown ECG setting": lambda d: changed(d / "ecg/config.json", colour=1),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("tiny"), "qwen3_vl", texts=texts())


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_damaged_policies_are_refused(stored: Path, tmp_path: Path, damage: Any) -> None:
    folder = tmp_path / "policy"
    shutil.copytree(stored, folder)
    damage(folder)
    with pytest.raises(QoqdataError) as raised:
        load_policy(folder)
    assert str(folder) in str(raised.value)


@pytest.mark.parametrize("name", ["/no/such/folder", "a/b/c", "not a name!", "../x"])
def test_wrong_names(name: str) -> None:
    with pytest.raises(UsageError) as raised:
        load_policy(name)
    assert raised.value.fix and "folder or a hub name" in raised.value.fix


def test_wrong_options(stored: Path) -> None:
    with pytest.raises(UsageError, match="dtype"):
        load_policy(stored, dtype="int8")
    with pytest.raises(UsageError, match="no tiny"):
        tiny_policy("qwen9")


def test_a_policy_without_a_branch_takes_no_encoder(tmp_path: Path) -> None:
    write_tiny(tmp_path, "qwen3_vl", texts=texts(), ecg=None)
    with pytest.raises(UsageError, match="without an ECG branch"):
        load_policy(tmp_path, ecg_weights=tmp_path / "encoder.pth")


def test_tiny_policies_are_made_of_their_seed() -> None:
    one, two, three = (tiny_policy("qwen3_vl", texts(), seed=s)[0].state_dict() for s in (0, 0, 1))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["ecg.projector.weight"], three["ecg.projector.weight"])
    assert not torch.equal(one["vlm.lm_head.weight"], three["vlm.lm_head.weight"])


def test_tiny_policies_are_tiny(made: tuple[Policy, Processor]) -> None:
    assert 150_000 < sum(value.numel() for value in made[0].parameters()) < 350_000


def test_the_random_state_of_the_caller_stays() -> None:
    torch.manual_seed(1)
    expected = torch.rand(1)
    torch.manual_seed(1)
    tiny_policy("qwen3_vl", texts(), seed=9)
    assert torch.equal(torch.rand(1), expected)


def test_a_collator_of_a_loaded_processor_makes_the_same_batch(
    made: tuple[Policy, Processor], batch: ModelInputs, tmp_path: Path
) -> None:
    from tests.qoqtrain.model.clinical import mixed_records

    policy, processor = made
    policy.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again = Collator(Processor.from_pretrained(tmp_path))(mixed_records())
    for name, value in batch.inputs().items():
        assert torch.equal(again.inputs()[name], value), name
