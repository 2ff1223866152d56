"""Forward passes of the policy: the same for a row alone and in any batch, and all connected."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

from qoqdata.errors import UsageError
from qoqtrain.data.batch import ModelInputs
from qoqtrain.data.collate import Collator
from qoqtrain.model.policy import Policy
from tests.qoqtrain.model.clinical import ecg, mixed_records, record

KINDS = ("text", "image", "slices", "ecg", "both")
CLOSE: dict[str, Any] = {"atol": 2e-5, "rtol": 2e-5}


def real(policy: Policy, batch: ModelInputs, row: int) -> torch.Tensor:
    """Logits of the tokens of one row of the batch, without padding."""
    with torch.no_grad():
        return policy(**batch.inputs())[row][batch.attention_mask[row].bool()]


@pytest.mark.parametrize("row", range(len(KINDS)), ids=KINDS)
def test_a_row_alone_has_the_logits_it_has_in_a_batch(
    policy: Policy, batch: ModelInputs, row: int
) -> None:
    alone = batch.take([row])
    assert alone.attention_mask.all()
    torch.testing.assert_close(real(policy, alone, 0), real(policy, batch, row), **CLOSE)


def test_order_and_repetition_of_rows(policy: Policy, batch: ModelInputs) -> None:
    rows = [4, 1, 4, 3, 0, 2, 3]
    mixed = batch.take(rows)
    for place, row in enumerate(rows):
        torch.testing.assert_close(real(policy, mixed, place), real(policy, batch, row), **CLOSE)


def test_images_alone_are_what_transformers_makes_of_them(
    policy: Policy, batch: ModelInputs
) -> None:
    for row in (0, 1, 2):
        alone = batch.take([row])
        with torch.no_grad():
            plain = policy.vlm(**alone.inputs()).logits[0]
        torch.testing.assert_close(real(policy, alone, 0), plain, **CLOSE)


def test_the_order_of_leads_in_a_record(policy: Policy, collator: Collator) -> None:
    leads = ecg(3)
    order = np.random.default_rng(0).permutation(12)
    turned = {
        "leads": [leads["leads"][i] for i in order],
        "fs": leads["fs"],
        "signal": leads["signal"][order],
        "valid": leads["valid"][order],
    }
    one, other = (collator([record("a", ecg=given)]) for given in (leads, turned))
    assert torch.equal(real(policy, one, 0), real(policy, other, 0))


def test_the_ecg_changes_what_follows_it_and_nothing_else(
    policy: Policy, collator: Collator
) -> None:
    first, second = (collator([record("a", ecg=ecg(seed))]) for seed in (3, 8))
    place = int((first.input_ids[0] == policy.ecg_token_id).nonzero()[0, 0])
    one, other = real(policy, first, 0), real(policy, second, 0)
    assert torch.equal(one[:place], other[:place])
    assert ((one - other)[place:].abs().amax(-1) > 1e-4).all()


def test_no_row_has_a_token_of_what_it_lacks(
    policy: Policy, collator: Collator, batch: ModelInputs
) -> None:
    ecgs = (batch.input_ids == policy.ecg_token_id).sum(1).tolist()
    images = (batch.input_ids == collator.processor.image_token_id).sum(1).tolist()
    assert ecgs == [0, 0, 0, 1, 1]
    assert [bool(count) for count in images] == [False, True, True, False, True]
    assert batch.image_counts == (0, 1, 3, 0, 1) and batch.window_counts == (0, 0, 0, 1, 1)


@pytest.mark.parametrize("rows", [[0], [1], [3], [0, 1, 2, 3, 4]], ids=str)
def test_every_parameter_is_in_the_graph_of_every_batch(
    policy: Policy, batch: ModelInputs, rows: list[int]
) -> None:
    given = batch.take(rows)
    policy(**given.inputs()).float().logsumexp(-1).mean().backward()
    grads = {name: value.grad for name, value in policy.named_parameters()}
    assert not [name for name, grad in grads.items() if grad is None]
    silent = {name for name, grad in grads.items() if grad is not None and grad.eq(0).all()}
    ecg_part = {name for name in grads if name.startswith("ecg.")}
    vision = {name for name in grads if ".visual." in name}
    assert not silent - ecg_part - vision
    assert silent & ecg_part == (set() if any(given.window_counts) else ecg_part)
    assert silent & vision == (set() if any(given.image_counts) else vision)


def test_absent_modalities_change_no_logit(policy: Policy, batch: ModelInputs) -> None:
    text = batch.take([0])
    with torch.no_grad():
        without = policy(**text.inputs())
    assert torch.equal(policy(**text.inputs()).detach(), without)


def test_generating_leaves_no_trace_in_the_forward_pass(policy: Policy, batch: ModelInputs) -> None:
    before = real(policy, batch, 2)
    policy.generate(**batch.take([1, 3]).inputs(), max_new_tokens=2, do_sample=False)
    assert torch.equal(real(policy, batch, 2), before)


def test_the_last_logits_only(policy: Policy, batch: ModelInputs) -> None:
    with torch.no_grad():
        whole = policy(**batch.inputs())
        last = policy(**batch.inputs(), logits_to_keep=3)
    torch.testing.assert_close(last, whole[:, -3:], **CLOSE)


def test_responses_follow_their_prompts(policy: Policy, batch: ModelInputs) -> None:
    generator = torch.Generator().manual_seed(0)
    responses = torch.randint(20, 200, (5, 6), generator=generator)
    mask = torch.arange(6) < torch.tensor([6, 1, 3, 5, 2])[:, None]
    inputs = batch.with_responses(responses, mask)
    with torch.no_grad():
        together = policy(**inputs, logits_to_keep=7)[:, :-1]
    for row in range(5):
        alone = batch.take([row])
        held = int(mask[row].sum())
        single = alone.with_responses(responses[row : row + 1, :held], mask[row : row + 1, :held])
        with torch.no_grad():
            logits = policy(**single, logits_to_keep=held + 1)[0, :-1]
        torch.testing.assert_close(together[row, :held], logits, **CLOSE)


def test_checkpointed_activations_of_a_frozen_model_still_teach_the_ecg_branch(
    policy: Policy, batch: ModelInputs
) -> None:
    copied = copy.deepcopy(policy).train()
    copied.vlm.requires_grad_(False)
    grads = []
    for checkpointing in (False, True):
        if checkpointing:
            copied.gradient_checkpointing_enable()
        copied.zero_grad()
        copied(**batch.inputs()).float().logsumexp(-1).mean().backward()
        assert copied.ecg is not None
        grads.append({n: v.grad.clone() for n, v in copied.ecg.named_parameters()})
    assert all(value.grad is None for value in copied.vlm.parameters())
    assert all(grad.abs().sum() > 0 for grad in grads[0].values())
    torch.testing.assert_close(grads[1], grads[0], atol=1e-7, rtol=1e-4)


def test_a_copy_is_a_policy_of_its_own(policy: Policy, batch: ModelInputs) -> None:
    copied = copy.deepcopy(policy)
    before = real(policy, batch, 3)
    assert torch.equal(real(copied, batch, 3), before)
    with torch.no_grad():
        assert copied.ecg is not None
        copied.ecg.projector.weight.zero_()
    assert torch.equal(real(policy, batch, 3), before)
    assert not torch.equal(real(copied, batch, 3), before)


def test_half_precision(policy: Policy, batch: ModelInputs) -> None:
    half = copy.deepcopy(policy).to(torch.bfloat16)
    logits = real(half, batch, 4)
    assert logits.dtype == torch.bfloat16
    error = logits.float() - real(policy, batch, 4)
    assert error.std() < 0.03 * real(policy, batch, 4).std()


class TestMismatch:
    """Placeholders and what they stand for."""

    def test_an_ecg_too_few(self, policy: Policy, batch: ModelInputs) -> None:
        inputs = batch.take([3]).inputs()
        del inputs["ecg"], inputs["ecg_mask"]
        with pytest.raises(UsageError, match="1 ECG placeholders for 0 ECG tokens"):
            policy(**inputs)

    def test_an_ecg_too_many(self, policy: Policy, batch: ModelInputs) -> None:
        inputs = batch.take([0]).inputs() | {
            name: value
            for name, value in batch.take([3]).inputs().items()
            if name in ("ecg", "ecg_mask")
        }
        for run in (policy, policy.generate):
            with pytest.raises(UsageError, match="0 ECG placeholders for 1 ECG tokens"):
                run(**inputs)

    def test_images(self, policy: Policy, batch: ModelInputs) -> None:
        inputs = batch.take([1]).inputs()
        less = {n: v for n, v in inputs.items() if n not in ("pixel_values", "image_grid_thw")}
        for run in (policy, policy.generate):
            with pytest.raises(UsageError, match="image placeholders for 0 image tokens"):
                run(**less)
        more = inputs | {"input_ids": inputs["input_ids"].clone()}
        more["input_ids"][0, -1] = policy.config.image_token_id
        with pytest.raises(UsageError, match="image placeholders"):
            policy(**more)

    def test_an_ecg_without_its_mask(self, policy: Policy, batch: ModelInputs) -> None:
        inputs = batch.take([3]).inputs()
        del inputs["ecg_mask"]
        with pytest.raises(UsageError, match="mask"):
            policy(**inputs)

    def test_a_policy_without_a_branch(self, policy: Policy, batch: ModelInputs) -> None:
        with pytest.raises(UsageError, match="no ECG branch"):
            Policy(policy.vlm)(**batch.take([3]).inputs())


def test_an_image_row_is_the_same_without_an_ecg_branch(policy: Policy, batch: ModelInputs) -> None:
    images = batch.take([1])
    bare = Policy(copy.deepcopy(policy.vlm))
    assert torch.equal(real(bare, images, 0), real(policy, images, 0))


def test_records_stay_as_they_are(collator: Collator) -> None:
    records = mixed_records()
    before = copy.deepcopy(records)
    collator(records)
    np.testing.assert_equal(records, before)
