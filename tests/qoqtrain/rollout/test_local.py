"""Rollouts of a tiny policy: seeded each by itself, drawn from its distribution, in buckets."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from qoqtrain.data.collate import Collator  # noqa: E402
from qoqtrain.model.tiny import tiny_policy  # noqa: E402
from qoqtrain.rollout.local import LocalSampler, buckets, draw, generate, uniforms  # noqa: E402
from qoqtrain.rollout.protocol import Prompt, SamplingSettings, seed_of  # noqa: E402

SAMPLING = SamplingSettings(n=3, temperature=1.0, top_p=1.0, max_tokens=6)


def record(name: str, words: int, image: bool) -> dict:
    images = [np.full((40, 56, 3), 90, np.uint8)] if image else None
    return {
        "id": name,
        "domain": "ct",
        "question": "What is shown? " + "word " * words,
        "kind": "single",
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


class Script:
    """Responses that are written down already, of 20 tokens."""

    def __init__(self, answers: list[list[int]]) -> None:
        self.answers, self.place = torch.tensor(answers), 0
        self.sizes = [len(answers)]

    @property
    def logits(self):
        chosen = self.answers[:, self.place]
        return torch.full((len(chosen), 20), -torch.inf).scatter(1, chosen[:, None], 0.0)

    def write(self, tokens) -> None:
        assert torch.equal(tokens, self.answers[:, self.place])
        self.place += 1

    def keep(self, rows) -> None:
        self.answers = self.answers[rows]
        self.sizes.append(len(rows))


@pytest.fixture
def scripted(made, monkeypatch):
    """Answers to what `generate` makes of them, their Script, and how often it wrote."""
    policy, _, collator, rows = made
    monkeypatch.setattr(policy.vlm.generation_config, "eos_token_id", [2, 3])

    def run(answers: list[list[int]], gather=None):
        script = Script(answers)
        monkeypatch.setattr(policy, "begin", lambda **given: script)
        inputs = collator.batch(rows[:1]).inputs()
        numbers = torch.zeros(len(answers), len(answers[0]), dtype=torch.float64)
        sampling = replace(SAMPLING, max_tokens=len(answers[0]))
        return generate(policy, inputs, numbers, sampling, gather=gather), script

    return run


def test_the_end_token_ends_a_response_and_the_limit_cuts_it(made, scripted):
    policy = made[0]
    policy.train()
    found, script = scripted([[9, 9, 2, 8, 8, 8], [9, 9, 9, 9, 9, 3], [9] * 6])
    assert found == [((9, 9, 2), False), ((9, 9, 9, 9, 9, 3), False), ((9,) * 6, True)]
    assert policy.training
    policy.eval()
    # The first one leaves when it has ended.
    assert script.sizes == [3, 2]


def test_writing_stops_with_the_last_response_unless_another_rank_goes_on(scripted):
    answers = [[9, 2, 8, 8, 8, 8], [2, 8, 8, 8, 8, 8]]
    found, script = scripted(answers)
    assert (found, script.place) == ([((9, 2), False), ((2,), False)], 1)
    others = iter([1, 1, 1, 0])
    again, script = scripted(answers, gather=lambda left: [left, next(others)])
    assert (again, script.place) == (found, 3)


def test_ranks_fill_up_to_the_same_number_of_buckets(made):
    prompts = prompts_of(made[3])
    plain = sampler_of(made, 1)
    passes: list[int] = []

    def gather(number: int) -> list[int]:
        passes.append(number)
        return [number, 5] if len(passes) == 1 else [number, 0]

    counted = replace(plain, gather=gather)
    assert counted(prompts, SAMPLING, seed=1, step=2) == plain(prompts, SAMPLING, seed=1, step=2)
    assert passes[0] == 3


def test_a_prompt_is_read_once_for_its_group(made):
    policy, _, collator, rows = made
    inputs = collator.batch(rows).inputs()
    shapes: list[tuple[int, int]] = []
    hook = policy.core.language_model.register_forward_pre_hook(
        lambda _, args, given: shapes.append(tuple(given["inputs_embeds"].shape[:2])),
        with_kwargs=True,
    )
    try:
        generate(policy, inputs, torch.rand(9, 6, dtype=torch.float64), SAMPLING)
    finally:
        hook.remove()
    assert shapes[0] == tuple(inputs["input_ids"].shape)
    assert all(rows <= 9 and width == 1 for rows, width in shapes[1:])


def test_numbers_belong_to_the_rollout_alone():
    one = uniforms(seed_of(0, 3, "a", 17, 1), 1000)
    assert np.array_equal(one, uniforms(seed_of(0, 3, "a", 17, 1), 1000))
    # A shorter answer draws the same first numbers.
    assert np.array_equal(one[:10], uniforms(seed_of(0, 3, "a", 17, 1), 10))
    others = [(1, 3, "a", 17, 1), (0, 4, "a", 17, 1), (0, 3, "b", 17, 1), (0, 3, "a", 17, 2)]
    for parts in others:
        assert abs(np.corrcoef(one, uniforms(seed_of(*parts), 1000))[0, 1]) < 0.15
    assert seed_of(1, 23) != seed_of(12, 3)


def test_draws_follow_the_distribution():
    logits = torch.tensor([1.0, 0.0, -1.0, 2.0])
    numbers = torch.linspace(0, 1, 20_001, dtype=torch.float64)[:-1]
    rows = logits.expand(len(numbers), -1)
    for temperature in (0.5, 1.0, 2.0):
        tokens = draw(rows, numbers, temperature=temperature, top_p=1.0)
        share = torch.bincount(tokens, minlength=4) / len(tokens)
        expected = (logits / temperature).softmax(-1)
        torch.testing.assert_close(share, expected, atol=2e-4, rtol=0)


def test_top_p_keeps_the_smallest_set_that_holds_the_mass():
    # 0.5, 0.3, 0.15, 0.05: for 0.8 the first two, scaled to 0.625 and 0.375.
    logits = torch.tensor([0.15, 0.5, 0.05, 0.3]).log()
    numbers = torch.linspace(0, 1, 8_001, dtype=torch.float64)[:-1]
    rows = logits.expand(len(numbers), -1)
    share = torch.bincount(draw(rows, numbers, temperature=1.0, top_p=0.79), minlength=4) / 8000
    torch.testing.assert_close(share, torch.tensor([0.0, 0.625, 0.0, 0.375]), atol=3e-4, rtol=0)
    only = draw(rows, numbers, temperature=1.0, top_p=0.1)
    assert only.unique().tolist() == [1]


def test_tokens_without_mass_are_never_drawn():
    logits = torch.tensor([[-torch.inf, 0.0, -torch.inf, 0.0, -torch.inf]])
    for number in (0.0, 0.4999999, 0.5, 1.0 - 2**-53):
        token = draw(logits, torch.tensor([number]).double(), temperature=1.0, top_p=1.0).item()
        assert token == (1 if number < 0.5 else 3)


def test_buckets_by_hand():
    # Three rollouts a prompt, 10 tokens each behind it: 3 x (40 + 10) = 150 a prompt of 40.
    assert buckets([40, 5, 40, 6], rows=3, extra=10, limit=300) == [[0, 2], [3, 1]]
    assert buckets([40, 5], rows=3, extra=10, limit=1) == [[0], [1]]
    assert buckets([], rows=3, extra=10, limit=1) == []


@given(
    lengths=st.lists(st.integers(1, 500), max_size=30),
    rows=st.integers(1, 8),
    extra=st.integers(1, 100),
    limit=st.integers(1, 5000),
)
def test_every_prompt_once_and_within_the_limit(lengths, rows, extra, limit):
    found = buckets(lengths, rows=rows, extra=extra, limit=limit)
    assert sorted(index for bucket in found for index in bucket) == list(range(len(lengths)))
    for bucket in found:
        longest = max(lengths[index] for index in bucket)
        assert len(bucket) == 1 or len(bucket) * rows * (longest + extra) <= limit
    order = [lengths[index] for bucket in found for index in bucket]
    assert order == sorted(lengths, reverse=True)
