"""An export in GRPO with images, by our processor: where torchvision is absent, TRL's has none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from qoqdata.errors import InputError, UsageError

pytest.importorskip("trl", reason="TRL is not installed")

from qoqtrain.adapters.trl_processor import TrlProcessor
from qoqtrain.model.family import FAMILIES
from qoqtrain.model.tiny import tiny_policy, write_tiny


def film(width: int, height: int) -> Image.Image:
    pixels = np.random.default_rng(width).integers(0, 255, (height, width), dtype=np.uint8)
    return Image.fromarray(pixels)


def turn(*parts: str | Image.Image) -> list[dict]:
    content = [
        {"type": "text", "text": part}
        if isinstance(part, str)
        else {"type": "image", "image": part}
        for part in parts
    ]
    return [{"role": "user", "content": content}]


@pytest.fixture(scope="module")
def processor() -> TrlProcessor:
    _, parts = tiny_policy("qwen2_5_vl", ["What is shown?"], ecg=None)
    return TrlProcessor(parts.image_processor, parts.tokenizer)


def test_prompts_with_several_images_one_and_none(processor: TrlProcessor) -> None:
    prompts = [turn(film(56, 56), film(28, 84), "a"), turn("b"), turn(film(56, 28), "c")]
    whole = processor.apply_chat_template(prompts, tokenize=True, add_generation_prompt=True)
    # An image of 56 x 56 pixels has 4 x 4 patches of 14, four of them a token.
    images = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    tokens = whole["image_grid_thw"].prod(-1) // 4
    counts = [ids.count(images) for ids in whole["input_ids"]]
    assert counts == [tokens[0] + tokens[1], 0, tokens[2]]
    assert [sum(types) for types in whole["mm_token_type_ids"]] == counts
    assert len(whole["pixel_values"]) == whole["image_grid_thw"].prod(-1).sum()
    # In two calls, as the trainer takes the pixels of the loss: text first, then images.
    texts = processor.apply_chat_template(prompts, add_generation_prompt=True)
    shown = [[film(56, 56), film(28, 84)], None, [film(56, 28)]]
    again = processor(images=shown, text=texts, padding=True, return_tensors="pt")
    assert (again["pixel_values"] == whole["pixel_values"]).all()
    for ids, mask, single in zip(
        again["input_ids"], again["attention_mask"], whole["input_ids"], strict=True
    ):
        assert ids[mask.bool()].tolist() == single


def test_text_is_text(processor: TrlProcessor) -> None:
    plain = [{"role": "system", "content": "Be brief."}, *turn("What?")]
    text = processor.apply_chat_template(plain, add_generation_prompt=True)
    assert text == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhat?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert processor.apply_chat_template([plain]) == [text.removesuffix("<|im_start|>assistant\n")]


@pytest.mark.parametrize(
    "prompt",
    [turn(film(56, 56), "<|image_pad|>"), [{"role": "user", "content": [{"type": "video"}]}]],
    ids=["text with the mark of an image", "a video"],
)
def test_what_cannot_be_shown_is_refused(processor: TrlProcessor, prompt: list[dict]) -> None:
    with pytest.raises(InputError):
        processor.apply_chat_template([prompt], tokenize=True)


def test_images_and_places_must_agree(processor: TrlProcessor) -> None:
    for text, images in (("<|image_pad|>", []), ("a", [film(56, 56)]), ("<|image_pad|>", None)):
        with pytest.raises(InputError, match="places of images"):
            processor(images=None if images is None else [images], text=[text])


@pytest.mark.parametrize("family", FAMILIES)
def test_it_comes_from_a_folder_and_goes_back(family: str, tmp_path: Path) -> None:
    """Without the name of a class that only we have: others read a checkpoint too."""
    model = write_tiny(tmp_path / "model", family, ecg=None)
    first = TrlProcessor.from_pretrained(model, max_pixels=4096)
    first.save_pretrained(tmp_path / "checkpoint")
    for path in (tmp_path / "checkpoint").glob("*.json"):
        assert "TrlProcessor" not in path.read_text()
    (tmp_path / "checkpoint" / "config.json").write_bytes((model / "config.json").read_bytes())
    again = TrlProcessor.from_pretrained(tmp_path / "checkpoint")
    prompt = [turn(film(100, 90), "a")]
    ids = [one.apply_chat_template(prompt, tokenize=True) for one in (first, again)]
    assert ids[0]["input_ids"] == ids[1]["input_ids"]
    assert (ids[0]["pixel_values"] == ids[1]["pixel_values"]).all()
    with pytest.raises(UsageError):
        TrlProcessor.from_pretrained(tmp_path / "none")


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_an_export_trains_and_goes_on(family: str, tmp_path: Path) -> None:
    from datasets import load_dataset
    from trl import GRPOConfig

    import qoqdata
    from qoqtrain import DRPO
    from qoqtrain.adapters.export_rewards import reward
    from qoqtrain.adapters.trl import DRPOTrainer
    from qoqtrain.model.loading import load_policy
    from tests.publication.conftest import build_set

    # One image and several in a prompt.
    dataset = build_set(tmp_path / "set", "ham10000", "kits23")
    tally = qoqdata.export(dataset, to="trl", out=tmp_path / "trl")
    data = load_dataset("parquet", data_files=str(tmp_path / "trl/train.parquet"), split="train")
    assert len(data) == tally.written["train"]
    assert len(set(map(len, data["images"]))) > 1
    model = write_tiny(tmp_path / "model", family, ecg=None, texts=[str(data[0]["prompt"])])
    scored: list[list[float | None]] = []

    def watched(completions: list, **columns: list) -> list[float | None]:
        scored.append(reward(completions, **columns))
        # A random policy is right of nothing: a spread, so that the step has a gradient.
        return [len(turns[-1]["content"]) % 3 / 3 for turns in completions]

    def run(steps: int, resume: Path | None = None) -> DRPOTrainer:
        trainer = DRPOTrainer(
            str(model),
            reward_funcs=[watched],
            args=GRPOConfig(
                output_dir=str(tmp_path / "run"), num_generations=2, use_cpu=True, bf16=False,
                per_device_train_batch_size=4, max_completion_length=8, max_steps=steps,
                save_steps=1, logging_steps=1, report_to="none", disable_tqdm=True,
                learning_rate=1e-2, gradient_checkpointing=False, seed=1,
                model_init_kwargs={"dtype": "float32"},
            ),
            train_dataset=data,
            processing_class=TrlProcessor.from_pretrained(model, max_pixels=56 * 56),
            drpo=DRPO.preset("streaming"),
        )  # fmt: skip
        trainer.train(resume_from_checkpoint=None if resume is None else str(resume))
        return trainer

    trainer = run(2)
    losses = [entry for entry in trainer.state.log_history if "grad_norm" in entry]
    assert len(losses) == 2 and all(entry["grad_norm"] > 0 for entry in losses)
    assert len(scored) == 2 and all(value == 0.0 for batch in scored for value in batch)
    run(3, tmp_path / "run" / "checkpoint-2")
    assert len(scored) == 3
    # What TRL wrote is a policy of ours.
    load_policy(tmp_path / "run" / "checkpoint-3", dtype="float32")
    TrlProcessor.from_pretrained(tmp_path / "run" / "checkpoint-3")
