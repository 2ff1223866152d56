"""Numbers of a rollout, and tokens drawn with them."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from qoqtrain.rollout.randomness import draw, seed_of, uniforms  # noqa: E402


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
