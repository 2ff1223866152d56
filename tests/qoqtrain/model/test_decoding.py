"""Decoding from the keys and values of a prompt agrees with whole forward passes."""

from __future__ import annotations

import pytest
import torch

from qoqdata.errors import UsageError
from qoqtrain.data.batch import ModelInputs
from qoqtrain.model.policy import Policy


def whole(policy: Policy, batch: ModelInputs, made: torch.Tensor) -> torch.Tensor:
    """Logits behind the prompts and `made` (B, t), without a cache."""
    with torch.no_grad():
        logits = policy(**batch.with_responses(made, torch.ones_like(made)), logits_to_keep=1)
    logits = logits[:, -1].clone()
    logits[:, policy.silent_tokens] = -torch.inf
    return logits


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_every_token_has_the_logits_of_the_forward_pass(
    policy: Policy, batch: ModelInputs, attention: str
) -> None:
    """Prompts of all kinds, two responses to each, some of which leave on the way."""
    policy.vlm.set_attn_implementation(attention)
    torch.manual_seed(0)
    n, rows = 2, list(range(2 * len(batch)))
    made = torch.zeros(len(rows), 0, dtype=torch.long)
    decoding = policy.begin(**batch.inputs(), n=n)
    for place in range(4):
        expected = whole(policy, batch.take([row // n for row in rows]), made)
        torch.testing.assert_close(decoding.logits, expected, atol=2e-4, rtol=1e-4)
        tokens = torch.randint(20, 200, (len(rows),))
        if place == 1:
            stay = torch.tensor([at for at in range(len(rows)) if at % 3])
            decoding.keep(stay)
            rows, made, tokens = [rows[at] for at in stay.tolist()], made[stay], tokens[stay]
        made = torch.cat([made, tokens[:, None]], 1)
        decoding.write(tokens)
    policy.vlm.set_attn_implementation("sdpa")


def test_right_padding_is_refused(policy: Policy, batch: ModelInputs) -> None:
    inputs = batch.take([0]).inputs()
    inputs["attention_mask"] = inputs["attention_mask"].clone()
    inputs["attention_mask"][0, -1] = 0
    with pytest.raises(UsageError, match="left"):
        policy.begin(**inputs)
