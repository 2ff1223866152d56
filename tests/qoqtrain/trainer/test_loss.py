"""The policy loss against hand-computed cases and a token-by-token re-implementation."""

from __future__ import annotations

import itertools
import math

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from qoqdata.errors import UsageError  # noqa: E402
from qoqtrain.trainer.step.loss import divergence, policy_loss, summarise  # noqa: E402


def one(ratio: float, advantage: float, **settings_):
    """Loss of a single token whose probability ratio and advantage are given."""
    new = torch.tensor([[math.log(ratio)]], dtype=torch.float64, requires_grad=True)
    old = torch.zeros(1, 1, dtype=torch.float64)
    weights = torch.tensor([advantage], dtype=torch.float64)
    mask = torch.ones(1, 1, dtype=torch.bool)
    loss, report = policy_loss(new, old, weights, mask, **settings_)
    (gradient,) = torch.autograd.grad(loss, new)
    return loss.item(), gradient.item(), report


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "gradient"),
    [
        # d(-A r)/d log r = -A r where nothing is clipped, 0 where it is.
        (1.1, 2.0, -2.2, -2.2),
        (1.5, 2.0, -2.6, 0.0),  # above 1 + 0.3
        (0.5, 2.0, -1.0, -1.0),  # too low, but the advantage is positive: not clipped
        (0.5, -2.0, 1.6, 0.0),  # below 1 - 0.2
        (1.5, -2.0, 3.0, 3.0),  # too high, but the advantage is negative
        (5.0, -2.0, 6.0, 0.0),  # dual clip: 3 x 2 instead of 10
        (0.9, 0.0, 0.0, 0.0),
    ],
)
def test_one_token_by_hand(ratio, advantage, loss, gradient):
    found, slope, _ = one(ratio, advantage, clip_low=0.2, clip_high=0.3, dual_clip=3.0)
    assert found == pytest.approx(loss, abs=1e-12)
    assert slope == pytest.approx(gradient, abs=1e-12)


def test_without_dual_clip_the_cost_has_no_ceiling():
    assert one(5.0, -2.0, dual_clip=None)[0] == pytest.approx(10.0)


def test_symmetric_and_asymmetric_bounds_differ_where_only_one_clips():
    assert one(1.25, 1.0)[0] == pytest.approx(-1.2)
    assert one(1.25, 1.0, clip_high=0.3)[0] == pytest.approx(-1.25)


def test_the_report_counts_what_was_clipped_and_where():
    new = torch.log(torch.tensor([[0.5, 1.5, 5.0, 9.0]]))
    mask = torch.tensor([[1, 1, 1, 0]])
    advantages = torch.tensor([[-1.0, 1.0, -1.0, 1.0]])
    _, report = policy_loss(new, torch.zeros(1, 4), advantages, mask)
    found = summarise([report])
    assert found["tokens"] == 3
    for bound in ("clipped_low", "clipped_high", "clipped_dual"):
        assert found[bound] == pytest.approx(1 / 3)
    assert found["max_ratio"] == pytest.approx(5.0)


@pytest.mark.parametrize(("name", "value"), [("k1", 0.3), ("k2", 0.045), ("k3", None)])
def test_divergence_by_hand(name, value):
    new, reference = torch.tensor(-1.0), torch.tensor(-1.3)
    expected = math.exp(-0.3) + 0.3 - 1 if value is None else value
    assert divergence(new, reference, name).item() == pytest.approx(expected, abs=1e-6)


def test_k1_and_k3_estimate_the_true_divergence():
    policy = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
    other = torch.tensor([0.2, 0.2, 0.6], dtype=torch.float64)
    true = (policy * (policy / other).log()).sum()
    for name in ("k1", "k3"):
        expected = (policy * divergence(policy.log(), other.log(), name)).sum()
        assert expected.item() == pytest.approx(true.item(), abs=1e-12)


def test_one_token_cannot_own_the_divergence():
    """d = 17: exp(d) is 2.4e7, and the gradient of what is held is 0."""
    new = torch.tensor([-17.0, -0.1], requires_grad=True)
    found = divergence(new, torch.tensor([0.0, -0.2]), "k3")
    assert found[0].item() == 10.0
    found.sum().backward()
    assert new.grad[0] == 0 and new.grad[1] != 0


def test_the_ratio_of_a_sequence_is_the_geometric_mean_of_its_tokens():
    """Ratios 1.2 and 0.9 and 1 masked: sqrt(1.08) for both; d cost / d log p = -A r / 2 each."""
    new = torch.log(torch.tensor([[1.2, 0.9, 5.0]], dtype=torch.float64)).requires_grad_()
    mask = torch.tensor([[1, 1, 0]])
    given = (new, torch.zeros(1, 3, dtype=torch.float64), torch.tensor([2.0]), mask)
    loss, report = policy_loss(*given, ratio_of="sequence", aggregate="sequence_mean")
    assert loss.item() == pytest.approx(-2 * math.sqrt(1.08))
    assert report["max_ratio"].item() == pytest.approx(math.sqrt(1.08))
    (slope,) = torch.autograd.grad(loss, new)
    assert slope.tolist() == [pytest.approx([-math.sqrt(1.08)] * 2 + [0.0])]
    with pytest.raises(UsageError, match="ratio"):
        policy_loss(*given, ratio_of="word")


def test_an_entropy_bonus_is_a_mean_over_tokens():
    new = torch.zeros(1, 3)
    entropies = torch.tensor([[1.0, 2.0, 50.0]], requires_grad=True)
    mask = torch.tensor([[1, 1, 0]])
    loss, report = policy_loss(new, new, torch.zeros(1), mask, entropies=entropies, entropy=0.1)
    assert loss.item() == pytest.approx(-0.1 * 1.5)
    assert report["entropy"].item() == pytest.approx(3.0)
    (slope,) = torch.autograd.grad(loss, entropies)
    assert slope.tolist() == [pytest.approx([-0.05, -0.05, 0.0])]
    with pytest.raises(UsageError, match="entropies"):
        policy_loss(new, new, torch.zeros(1), mask, entropy=0.1)


def test_importance_weights_are_cut_and_have_no_gradient():
    """The trainer thinks the tokens 1.5 and 8 times as likely as the sampler; 8 is held at 2."""
    new = torch.zeros(1, 2, dtype=torch.float64, requires_grad=True)
    sampled = -torch.log(torch.tensor([[1.5, 8.0]], dtype=torch.float64))
    mask = torch.ones(1, 2)
    loss, report = policy_loss(
        new, new.detach(), torch.tensor([1.0]), mask, sampled=sampled, importance_cap=2.0
    )
    assert loss.item() == pytest.approx(-(1.5 + 2.0) / 2)
    assert report["importance_capped"] == 1
    (slope,) = torch.autograd.grad(loss, new)
    assert slope.tolist() == [pytest.approx([-0.75, -1.0])]


def test_token_mean_and_sequence_mean_weigh_lengths_differently():
    new = torch.zeros(2, 3, requires_grad=True)
    mask = torch.tensor([[1, 1, 1], [1, 0, 0]])
    advantages = torch.tensor([1.0, -1.0])
    by_token, _ = policy_loss(new, new.detach(), advantages, mask)
    by_sequence, _ = policy_loss(new, new.detach(), advantages, mask, aggregate="sequence_mean")
    assert by_token.item() == pytest.approx((-3 + 1) / 4)
    assert by_sequence.item() == pytest.approx(0.0)


def plain_loss(batch, settings_):
    """Token by token, in the words of the papers; nothing shared with the module under test."""
    per_sequence, tokens = [], 0
    for row in range(len(batch["mask"])):
        terms = []
        for t in range(len(batch["mask"][row])):
            if not batch["mask"][row][t]:
                continue
            a = batch["advantages"][row]
            ratio = torch.exp(batch["new"][row, t] - batch["old"][row, t])
            low, high = 1 - settings_["clip_low"], 1 + settings_["clip_high"]
            objective = min(ratio * a, torch.clip(ratio, low, high) * a)
            if a < 0 and settings_["dual_clip"] is not None:
                objective = max(objective, settings_["dual_clip"] * a)
            term = -objective
            log_r = batch["ref"][row, t] - batch["new"][row, t]
            penalty = {
                "k1": -log_r,
                "k2": 0.5 * log_r * log_r,
                "k3": torch.expm1(log_r) - log_r,
            }[settings_["kl_estimator"]]
            terms.append(term + settings_["kl"] * penalty)
        tokens += len(terms)
        per_sequence.append(terms)
    if settings_["aggregate"] == "token_mean":
        return sum(sum(terms) for terms in per_sequence) / tokens
    return sum(sum(terms) / len(terms) for terms in per_sequence if terms) / len(per_sequence)


def random_batch(seed: int, rows: int = 6, width: int = 5):
    draw = torch.Generator().manual_seed(seed)
    normal = lambda *shape: torch.randn(*shape, generator=draw, dtype=torch.float64)  # noqa: E731
    new = (-1 + 0.8 * normal(rows, width)).requires_grad_()
    lengths = torch.randint(0, width + 1, (rows,), generator=draw)
    lengths[0] = width
    return {
        "new": new,
        "old": new.detach() + 0.4 * normal(rows, width),
        "ref": new.detach() + 0.4 * normal(rows, width),
        "advantages": 2 * normal(rows),
        "mask": torch.arange(width)[None] < lengths[:, None],
    }


choices = st.fixed_dictionaries(
    {
        "clip_low": st.sampled_from([0.1, 0.2, 0.4]),
        "clip_high": st.sampled_from([0.2, 0.3]),
        "dual_clip": st.sampled_from([None, 1.5, 3.0]),
        "kl": st.sampled_from([0.0, 0.1, 1.0]),
        "kl_estimator": st.sampled_from(["k1", "k2", "k3"]),
        "aggregate": st.sampled_from(["token_mean", "sequence_mean"]),
    }
)


def loss_of(batch, rows, chosen, total=None):
    return policy_loss(
        batch["new"][rows],
        batch["old"][rows],
        batch["advantages"][rows],
        batch["mask"][rows],
        ref_logprobs=batch["ref"][rows],
        total=total,
        **chosen,
    )[0]


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), chosen=choices)
def test_loss_and_gradient_equal_a_plain_implementation(seed, chosen):
    batch = random_batch(seed)
    ours = loss_of(batch, slice(None), chosen)
    theirs = plain_loss(batch, chosen)
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-10, abs=1e-12)
    (found,) = torch.autograd.grad(ours, batch["new"])
    (expected,) = torch.autograd.grad(theirs, batch["new"])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), chosen=choices, cuts=st.sets(st.integers(1, 5), max_size=5))
def test_any_split_into_micro_batches_sums_to_the_batch(seed, chosen, cuts):
    batch = random_batch(seed)
    whole = loss_of(batch, slice(None), chosen)
    (expected,) = torch.autograd.grad(whole, batch["new"])
    by_token = chosen["aggregate"] == "token_mean"
    total = batch["mask"].sum() if by_token else len(batch["mask"])
    edges = [0, *sorted(cuts), 6]
    parts = [loss_of(batch, slice(a, b), chosen, total) for a, b in itertools.pairwise(edges)]
    assert sum(part.item() for part in parts) == pytest.approx(whole.item(), rel=1e-10, abs=1e-12)
    (found,) = torch.autograd.grad(sum(parts), batch["new"])
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_what_is_masked_may_hold_anything():
    batch = random_batch(3)
    chosen = {"kl": 0.5}
    (clean,) = torch.autograd.grad(loss_of(batch, slice(None), chosen), batch["new"])
    dirty = {**batch, "new": batch["new"].detach().clone()}
    for name, junk in (("new", float("nan")), ("old", float("-inf")), ("ref", float("inf"))):
        dirty[name] = dirty[name].masked_fill(~batch["mask"], junk)
    dirty["new"].requires_grad_()
    (found,) = torch.autograd.grad(loss_of(dirty, slice(None), chosen), dirty["new"])
    assert torch.equal(clean, found)


def test_a_batch_without_a_response_token_costs_nothing():
    new = torch.zeros(2, 3, requires_grad=True)
    mask = torch.zeros(2, 3)
    for aggregate in ("token_mean", "sequence_mean"):
        loss, _ = policy_loss(new, new, torch.ones(2), mask, aggregate=aggregate)
        loss.backward()
        assert loss.item() == 0.0
        assert not new.grad.any()


def test_refusals():
    new, mask = torch.zeros(2, 3), torch.ones(2, 3)
    with pytest.raises(UsageError, match="old_logprobs"):
        policy_loss(new, torch.zeros(2, 2), torch.ones(2), mask)
    with pytest.raises(UsageError, match="advantages"):
        policy_loss(new, new, torch.ones(3), mask)
    with pytest.raises(UsageError, match="reference"):
        policy_loss(new, new, torch.ones(2), mask, kl=0.1)
    with pytest.raises(UsageError, match="k4"):
        policy_loss(new, new, torch.ones(2), mask, ref_logprobs=new, kl_estimator="k4")
    with pytest.raises(UsageError, match="batch_mean"):
        policy_loss(new, new, torch.ones(2), mask, aggregate="batch_mean")
