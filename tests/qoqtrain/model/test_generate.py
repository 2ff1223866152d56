"""Generation agrees with the forward pass."""

from __future__ import annotations

import copy

import pytest
import torch

from qoqdata.errors import UsageError
from qoqtrain.data.batch import ModelInputs
from qoqtrain.data.collate import Collator
from qoqtrain.model.policy import Policy

NEW = 5


def greedy(policy: Policy, batch: ModelInputs) -> torch.Tensor:
    """One token after the other, each from a whole forward pass without a cache."""
    made = torch.zeros(len(batch), 0, dtype=torch.long)
    for _ in range(NEW):
        inputs = batch.with_responses(made, torch.ones_like(made))
        with torch.no_grad():
            logits = policy(**inputs, logits_to_keep=1)[:, -1]
        logits[:, policy.silent_tokens] = -torch.inf
        made = torch.cat([made, logits.argmax(-1, keepdim=True)], 1)
    return made


def test_greedy_is_the_argmax_of_the_forward_pass(policy: Policy, batch: ModelInputs) -> None:
    found = policy.generate(**batch.inputs(), max_new_tokens=NEW, do_sample=False, eos_token_id=-1)
    assert torch.equal(found, greedy(policy, batch))


def test_without_a_cache(policy: Policy, batch: ModelInputs) -> None:
    given = batch.take([3, 0])
    found = policy.generate(
        **given.inputs(), max_new_tokens=NEW, do_sample=False, eos_token_id=-1, use_cache=False
    )
    assert torch.equal(found, greedy(policy, given))


def test_rollouts_of_a_prompt_lie_next_to_each_other(policy: Policy, batch: ModelInputs) -> None:
    # With one candidate a token, sampling is greedy, whatever the rollout.
    found = policy.generate(
        **batch.inputs(),
        max_new_tokens=NEW,
        do_sample=True,
        top_k=1,
        num_return_sequences=3,
        eos_token_id=-1,
    )
    assert torch.equal(found, greedy(policy, batch).repeat_interleave(3, 0))


def test_images_and_ecgs_are_encoded_once_for_all_rollouts(
    policy: Policy, batch: ModelInputs
) -> None:
    assert policy.ecg is not None
    seen = []
    hooks = [
        module.register_forward_hook(lambda _module, args, _out: seen.append(args[0].shape))
        for module in (policy.ecg.encoder.patch_embedding, policy.core.visual.patch_embed)
    ]
    try:
        policy.generate(**batch.inputs(), max_new_tokens=3, do_sample=True, num_return_sequences=4)
    finally:
        for hook in hooks:
            hook.remove()
    assert batch.pixel_values is not None
    assert [shape[0] for shape in seen] == [2, batch.pixel_values.shape[0]]


def test_placeholders_are_never_sampled(
    policy: Policy, batch: ModelInputs, collator: Collator
) -> None:
    eager = copy.deepcopy(policy)
    placeholders = [collator.processor.image_token_id, collator.processor.ecg_token_id]
    assert set(placeholders) <= set(policy.silent_tokens)
    with torch.no_grad():
        # These rows now win wherever they are not forbidden.
        wanted = eager.vlm.lm_head.weight
        wanted.mul_(1e-3)
        wanted[placeholders] = torch.randn(2, wanted.shape[1]) * 10
    found = eager.generate(
        **batch.take([4, 0]).inputs(), max_new_tokens=20, num_return_sequences=4, do_sample=True
    )
    assert not torch.isin(found, torch.tensor(policy.silent_tokens)).any()


def test_the_same_seed_gives_the_same_rollouts(policy: Policy, batch: ModelInputs) -> None:
    made = []
    for _ in range(2):
        torch.manual_seed(5)
        made.append(policy.generate(**batch.inputs(), max_new_tokens=NEW, do_sample=True))
    assert torch.equal(*made)


def test_right_padding_is_refused(policy: Policy, batch: ModelInputs) -> None:
    inputs = batch.take([0]).inputs()
    inputs["attention_mask"] = inputs["attention_mask"].clone()
    inputs["attention_mask"][0, -1] = 0
    with pytest.raises(UsageError, match="left"):
        policy.generate(**inputs, max_new_tokens=2)
