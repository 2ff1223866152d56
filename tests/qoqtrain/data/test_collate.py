"""Records to batches."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from qoqdata.errors import InputError, UsageError
from qoqtrain.data.batch import ModelInputs
from qoqtrain.data.collate import Collator, TooLong
from qoqtrain.data.images import rgb
from qoqtrain.model.tiny import tiny_policy
from qoqtrain.rewards import score
from tests.qoqtrain.model.clinical import ecg, images, mixed_records, record, texts


def test_padding_is_on_the_left(batch: ModelInputs, collator: Collator) -> None:
    rows = collator.rows(mixed_records())
    longest = max(row.tokens for row in rows)
    assert batch.input_ids.shape == (5, longest)
    for index, row in enumerate(rows):
        pad = longest - row.tokens
        assert batch.input_ids[index, :pad].eq(collator.processor.pad_token_id).all()
        assert batch.attention_mask[index].tolist() == [0] * pad + [1] * row.tokens
        assert batch.input_ids[index, pad:].tolist() == row.input_ids.tolist()
    assert batch.prompt_tokens == [row.tokens for row in rows]
    assert batch.ids == ["text", "image", "slices", "ecg", "both"]


def test_image_tokens_are_typed_and_counted(batch: ModelInputs, collator: Collator) -> None:
    image = batch.input_ids == collator.processor.image_token_id
    assert torch.equal(batch.mm_token_type_ids, image.long())
    assert batch.image_grid_thw is not None and batch.pixel_values is not None
    merge = collator.processor.image_processor.merge_size**2
    assert int(image.sum()) == int(batch.image_grid_thw.prod(-1).sum()) // merge
    assert len(batch.pixel_values) == int(batch.image_grid_thw.prod(-1).sum())


def test_text_alone_has_nothing_else(collator: Collator) -> None:
    only = collator([record("a", context="Words.")])
    assert set(only.inputs()) == {"input_ids", "attention_mask", "mm_token_type_ids"}


def test_rows_taken_are_rows_collated(batch: ModelInputs, collator: Collator) -> None:
    records = mixed_records()
    for rows in ([1], [3, 0], [2, 2, 4], [4, 3, 2, 1, 0]):
        taken, made = batch.take(rows), collator([records[row] for row in rows])
        assert taken.inputs().keys() == made.inputs().keys()
        for name, value in made.inputs().items():
            assert torch.equal(taken.inputs()[name], value), name
        assert taken.image_counts == made.image_counts
        assert taken.window_counts == made.window_counts
        assert taken.ids == made.ids
    with pytest.raises(UsageError):
        batch.take([])


def test_the_scored_text_begins_with_what_the_template_writes() -> None:
    processor = tiny_policy("qwen3_vl", texts())[1]
    ids = processor.tokenizer("What is it?<|im_end|>", add_special_tokens=False).input_ids
    assert Collator(processor).response_text(ids) == "What is it?"
    processor.tokenizer.chat_template += "{% if add_generation_prompt %}<think>\n{% endif %}"
    assert Collator(processor).response_text(ids) == "<think>\nWhat is it?"


def test_rows_hold_no_second_copy(collator: Collator) -> None:
    row = collator.row(mixed_records()[4])
    assert not {"images", "masks", "ecg"} & row.facts.keys()
    assert row.facts["id"] == "both" and row.truth.answer == "Normal"


class TestUnfit:
    """Records that cannot be shown."""

    def test_a_prompt_that_is_too_long_is_refused(self, collator: Collator) -> None:
        records = mixed_records()
        lengths = [collator.row(made).tokens for made in records]
        short = Collator(collator.processor, max_prompt_tokens=min(lengths))
        with pytest.raises(TooLong, match=f"{max(lengths)} tokens") as raised:
            short(records[int(np.argmax(lengths)) :])
        assert "max_prompt_tokens" in str(raised.value.fix)

    def test_or_left_out_and_counted(self, collator: Collator) -> None:
        records = mixed_records()
        lengths = [collator.row(made).tokens for made in records]
        limit = sorted(lengths)[2]
        some = Collator(collator.processor, max_prompt_tokens=limit, unfit="skip")
        batch = some(records)
        kept = [i for i, length in enumerate(lengths) if length <= limit]
        assert batch.ids == [records[i]["id"] for i in kept]
        assert some.skipped == {"too_long": 5 - len(kept)}
        with pytest.raises(UsageError, match="none of 1"):
            some([records[int(np.argmax(lengths))]])

    def test_nothing_is_shown(self, collator: Collator) -> None:
        with pytest.raises(InputError, match="record a: shows the policy nothing"):
            collator([record("a", images=[])])

    @pytest.mark.parametrize(
        "image",
        [
            np.zeros((4, 4, 3), np.float32),
            np.zeros((4, 4, 2), np.uint8),
            np.zeros((0, 4, 3), np.uint8),
            np.zeros((2, 500, 3), np.uint8),
            b"no image",
        ],
        ids=str,
    )
    def test_images(self, collator: Collator, image: Any) -> None:
        info = [{"width": 4, "height": 4}]
        with pytest.raises(InputError, match="record a"):
            collator([record("a", images=[image], image_info=info)])

    def test_an_ecg_that_cannot_be_shown(self, collator: Collator) -> None:
        given = ecg(0)
        given["valid"][:] = False
        with pytest.raises(InputError, match="record a"):
            collator([record("a", ecg=given)])

    def test_an_ecg_and_no_branch(self) -> None:
        _, processor = tiny_policy("qwen3_vl", texts(), ecg=None)
        images = Collator(processor, unfit="skip")
        assert len(images([mixed_records()[1]])) == 1
        # Not a fault of the record: it stops the run even where records may be left out.
        with pytest.raises(UsageError, match="record ecg: holds an ECG"):
            images(mixed_records())


class TestImages:
    """Images in every form that a stream yields."""

    def test_forms(self) -> None:
        import io

        from PIL import Image

        colour = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        file = io.BytesIO()
        Image.fromarray(colour).save(file, "PNG")
        opaque = np.dstack([colour, np.full((5, 7), 255, np.uint8)])
        for form in (
            colour,
            Image.fromarray(colour),
            file.getvalue(),
            {"bytes": file.getvalue(), "path": "x.png"},
            opaque,
        ):
            np.testing.assert_array_equal(rgb(form, "here"), colour)
        grey = colour[..., 0]
        np.testing.assert_array_equal(rgb(grey, "here"), np.dstack([grey] * 3))

    def test_transparency(self) -> None:
        with pytest.raises(InputError, match="transparent"):
            rgb(np.zeros((4, 4, 4), np.uint8), "here")


REGION = {"label": "mass", "image": 0, "x_min": 10, "y_min": 12, "x_max": 50, "y_max": 36}


class TestTruth:
    """Corners in the policy's frame come back to the stored image."""

    def row(self, collator: Collator, **columns: Any) -> Any:
        return collator.row(record("a", regions=[REGION], **columns))

    def test_a_box_written_as_seen_is_right(self, collator: Collator) -> None:
        shown = images(1, (100, 60))
        row = self.row(collator, **shown)
        width, height = collator.processor.seen_size(100, 60)
        if collator.processor.family.frame == "thousandths":
            width, height = 1000, 1000
        corners = [10 * width / 100, 12 * height / 60, 50 * width / 100, 36 * height / 60]
        response = (
            "<think>There it is.</think>\n```json\n"
            f'[{{"bbox_2d": {corners}, "label": "mass"}}]\n```\n\\boxed{{Normal}}'
        )
        shifted = response.replace(str(corners), str([c + width / 2 for c in corners]))
        right, wrong = score([response, shifted], [row.truth] * 2, preset="qoq_med_code")
        assert right["grounding"] == pytest.approx(1.0, abs=1e-6)
        assert wrong["grounding"] < 0.5

    def test_sizes(self, collator: Collator) -> None:
        truth = self.row(collator, **images(1, (100, 60))).truth
        assert truth.stored_sizes == ((100.0, 60.0),)
        assert truth.seen_sizes == (collator.processor.seen_size(100, 60),)
        assert truth.frame == collator.processor.family.frame

    def test_a_given_region_is_told_in_the_frame_that_answers_are_read_in(
        self, collator: Collator
    ) -> None:
        """What the prompt says of a given region is what the truth reads as that very box."""
        given, chat = {**REGION, "role": "given", "label": "spot"}, collator.processor
        made = record("a", regions=[given, REGION | {"role": "target"}], **images(1, (100, 60)))
        row = collator.row(made)
        told = chat.tokenizer.decode(row.input_ids.tolist())
        width, height = chat.seen_size(100, 60)
        if chat.family.frame == "thousandths":
            width, height = 1000, 1000
        edges = (10 * width / 100, 12 * height / 60, 50 * width / 100, 36 * height / 60)
        corners = [math.floor(edge + 0.5) for edge in edges]
        assert f"spot: {corners}" in told
        (region,) = row.truth.regions
        assert region.label == "mass"
        block = f'```json\n[{{"bbox_2d": {corners}, "label": "mass"}}]\n```\\boxed{{Normal}}'
        (found,) = score([block], [row.truth])
        # Within the rounding to whole numbers.
        assert found["grounding"] > 0.9

    def test_a_given_region_that_is_not_shown_is_refused_or_counted(
        self, collator: Collator
    ) -> None:
        given = {**REGION, "role": "given", "image": 1}
        made = record("a", regions=[given], **images(1, (100, 60)))
        with pytest.raises(InputError, match="record a: a given region is on image 1 of 1"):
            collator.row(made)
        some = Collator(collator.processor, unfit="skip")
        assert some.rows([made]) == [] and some.skipped == {"misaligned": 1}

    def test_without_images_there_is_nothing_to_find(self, collator: Collator) -> None:
        made = record("a", regions=[REGION], context="Words.", image_info=None)
        assert collator.row(made).truth.regions is None


def test_where_one_label_is_asked_for_naming_two_is_wrong(collator: Collator) -> None:
    """The record's kind reaches the reward, so that hedging does not pay."""
    asked = record("a", context="Words.") | {
        "options": ["Mass", "Nodule", "Cyst"],
        "answer": "Mass",
    }
    hedged = ["\\boxed{Mass, Nodule}"]
    (several,) = score(hedged, [collator.row(asked | {"kind": "multi"}).truth])
    assert several["answer"] == pytest.approx(2 / 3)
    (single,) = score(hedged, [collator.row(asked).truth])
    assert single["answer"] == 0.0
    (right,) = score(["\\boxed{Mass}"], [collator.row(asked).truth])
    assert right["answer"] == 1.0
