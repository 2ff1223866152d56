"""Rollouts of a tiny policy: seeded each by itself, drawn from the policy's distribution."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qoqtrain.data.collate import Collator  # noqa: E402
from qoqtrain.model.tiny import tiny_policy  # noqa: E402
from qoqtrain.rollout.local import LocalSampler, generate  # noqa: E402
from qoqtrain.rollout.protocol import Prompt, SamplingSettings  # noqa: E402

SAMPLING = SamplingSettings(n=3, temperature=1.0, top_p=1.0, max_tokens=6)


def record(name: str, words: int, image: bool) -> dict:
    images = [np.full((40, 56, 3), 90, np.uint8)] if image else None
    return {
        "id": name,
        "domain": "ct",
        "question": "What is shown? " + "word " * words,
        "options": ["a", "b"],
        "answer": "a",
        "context": "A report.",
        "images": images,
        "image_info": [{"width": 56, "height": 40}] if image else None,
        "ecg": None,
    }


@pytest.fixture(scope="module")
def made():
    torch.set_num_threads(1)
    policy, processor = tiny_policy("qwen3_vl")
    collator = Collator(processor)
    rows = collator.rows([record("p", 3, True), record("q", 30, False), record("r", 9, True)])
    return policy, processor, collator, rows


def sampler_of(made, batch_tokens: int, rows=None) -> LocalSampler:
    policy, processor, collator, held = made
    rows = held if rows is None else rows
    return LocalSampler(
        policy,
        lambda chosen: collator.batch([rows[index] for index in chosen]).inputs(),
        processor.decode,
        batch_tokens,
    )


def prompts_of(rows) -> list[Prompt]:
    return [Prompt({"id": row.id}, row.tokens, 0) for row in rows]


def test_a_rollout_does_not_depend_on_what_shares_its_batch(made):
    rows = made[3]
    prompts = prompts_of(rows)
    together = sampler_of(made, 10**6)(prompts, SAMPLING, seed=1, step=2)
    apart = sampler_of(made, 1)(prompts, SAMPLING, seed=1, step=2)
    assert [r.tokens for r in together] == [r.tokens for r in apart]
    assert [(r.question, r.index) for r in together] == [(q, i) for q in "pqr" for i in range(3)]
    alone = sampler_of(made, 1, rows[2:])(prompts[2:], SAMPLING, seed=1, step=2)
    assert [r.tokens for r in alone] == [r.tokens for r in together[6:]]


def test_step_seed_copy_and_index_change_the_draw(made):
    prompts = prompts_of(made[3])[:1]
    draw = sampler_of(made, 10**6)
    one = draw(prompts, SAMPLING, seed=1, step=2)
    assert len({r.tokens for r in one}) == 3
    for seed, step, copy in ((2, 2, 0), (1, 3, 0), (1, 2, 5)):
        other = draw([replace(prompts[0], copy=copy)], SAMPLING, seed=seed, step=step)
        assert [r.tokens for r in other] != [r.tokens for r in one]


def test_first_tokens_follow_the_policy_with_temperature_and_top_p(made):
    policy, processor, collator, rows = made
    inputs = collator.batch(rows[:1]).inputs()
    n = 400
    numbers = (torch.arange(n, dtype=torch.float64)[:, None] + 0.5) / n
    sampling = SamplingSettings(n=n, temperature=0.25, top_p=0.5, max_tokens=1)
    answers = generate(policy, inputs, numbers, sampling)
    found = Counter(tokens[0] for tokens, _ in answers)
    with torch.no_grad():
        logits = policy(**inputs, logits_to_keep=1)[0, -1].double()
    logits[processor.silent_tokens] = -torch.inf
    probabilities = (logits / 0.25).softmax(-1)
    ordered, tokens = probabilities.sort(descending=True)
    kept = int((ordered.cumsum(0) < 0.5).sum()) + 1
    expected = dict(
        zip(tokens[:kept].tolist(), (ordered[:kept] / ordered[:kept].sum()).tolist(), strict=True)
    )
    assert set(found) <= set(expected)
    for token, share in expected.items():
        assert found[token] / n == pytest.approx(share, abs=1.5 / n)


def test_settings_of_the_model_do_not_bend_the_distribution(made):
    policy, _, collator, rows = made
    inputs = collator.batch(rows[:2]).inputs()
    numbers = torch.rand(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    plain = generate(policy, inputs, numbers, SAMPLING)
    config = policy.vlm.generation_config
    # What Qwen2.5-VL brings along.
    config.temperature, config.top_k, config.top_p, config.repetition_penalty = 0.1, 1, 0.001, 1.5
    try:
        assert generate(policy, inputs, numbers, SAMPLING) == plain
    finally:
        config.temperature = config.top_k = config.top_p = config.repetition_penalty = None


def test_images_are_encoded_once_for_the_group(made):
    policy, _, collator, rows = made
    inputs = collator.batch(rows).inputs()
    seen: list[int] = []
    embedding = policy.vlm.model.visual.patch_embed
    handle = embedding.register_forward_pre_hook(lambda _, given: seen.append(len(given[0])))
    try:
        generate(policy, inputs, torch.rand(9, 6, dtype=torch.float64), SAMPLING)
    finally:
        handle.remove()
    assert seen == [len(inputs["pixel_values"])]


def test_the_end_token_ends_a_response_and_the_limit_cuts_it(made, monkeypatch):
    policy, processor, collator, rows = made
    inputs = collator.batch(rows[:1]).inputs()
    end = processor.eos_token_id
    answers = torch.tensor([[9, 9, end, 8, 8, 8], [9, 9, 9, 9, 9, end], [9] * 6])
    monkeypatch.setattr(policy, "generate", lambda **given: answers)
    policy.train()
    found = generate(policy, inputs, torch.zeros(3, 6, dtype=torch.float64), SAMPLING)
    assert found == [((9, 9, end), False), ((9, 9, 9, 9, 9, end), False), ((9,) * 6, True)]
    assert policy.training
    policy.eval()
