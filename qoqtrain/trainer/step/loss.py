"""The clipped policy loss, as a pure function of log-probabilities and advantages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Literal

import torch

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

Aggregate = Literal["token_mean", "sequence_mean"]
Ratio = Literal["token", "sequence"]
KLEstimator = Literal["k1", "k2", "k3"]

#: Log ratios beyond this are held: exp(20) is 5e8, and no clip lets such a token through.
LOG_RATIO_BOUND = 20.0

#: The k3 estimate of one token is held here, as in the published code: exp(20) is 5e8.
K3_BOUND = 10.0

#: What a report holds, each a sum over tokens but the last, which is a maximum.
SUMS = (
    *("tokens", "clipped_low", "clipped_high", "clipped_dual", "kl_old", "kl_reference"),
    *("entropy", "importance", "importance_capped"),
)
REPORT = (*SUMS, "max_ratio")


def policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    *,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    dual_clip: float | None = 3.0,
    ref_logprobs: Tensor | None = None,
    kl: float = 0.0,
    kl_estimator: KLEstimator = "k3",
    aggregate: Aggregate = "token_mean",
    ratio_of: Ratio = "token",
    entropies: Tensor | None = None,
    entropy: float = 0.0,
    sampled: Tensor | None = None,
    importance_cap: float | None = None,
    total: float | Tensor | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Loss to minimise, a scalar with gradient, and its report (`REPORT`, detached scalars).

    With r = exp(logprobs - old_logprobs), a token costs max(-A r, -A clip(r, 1 - clip_low,
    1 + clip_high)) (PPO, arXiv 1707.06347; another upper bound: DAPO, arXiv 2503.14476), at most
    -A dual_clip where A < 0 (arXiv 1912.09729; None leaves that out), plus kl times the divergence
    from the reference (`divergence`), less `entropy` times the entropy. With `ratio_of` "sequence"
    r is the same for all tokens of a sequence, the geometric mean of theirs (GSPO, arXiv
    2507.18071), whose clips are about a thousandth of the usual.

    `sampled` are the log-probabilities by which a sampler of other numerics or older weights drew
    the tokens. With `importance_cap` c the policy cost of a token is multiplied by
    min(exp(old_logprobs - sampled), c), without a gradient (truncated importance sampling).

    `logprobs`, `old_logprobs`, `ref_logprobs` (B, T) of the sampled tokens; `advantages` (B,) or
    (B, T); `mask` (B, T) true on response tokens; what is masked may hold anything. "token_mean"
    divides the sum over tokens by `total` tokens, "sequence_mean" the sum of the sequences' own
    means by `total` sequences. `total` is that of the whole global batch, so that the losses of
    micro-batches sum to the loss of the batch; None counts what is given. A sequence without
    tokens costs nothing and is counted.

    Raises UsageError for shapes that do not fit, a `kl` without reference, and unknown names.
    """
    weights = advantages if advantages.ndim == logprobs.ndim else advantages[:, None]
    _check(logprobs, old_logprobs, weights, mask, ref_logprobs, kl)
    if entropy and entropies is None:
        raise UsageError("an entropy bonus needs the entropies", where="entropy")
    mask = mask.bool()
    # Padding may hold anything, infinities included: out before it meets exp, or gradients rot.
    new, old = logprobs.masked_fill(~mask, 0.0), old_logprobs.detach().masked_fill(~mask, 0.0)
    gap = new - old
    if ratio_of == "sequence":
        gap = (gap.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)) * mask
    elif ratio_of != "token":
        raise UsageError(f"{ratio_of!r} is no ratio", fix="choose token or sequence")
    log_ratio = gap.clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
    ratio = log_ratio.exp()
    plain = -weights * ratio
    clipped = -weights * ratio.clamp(1.0 - clip_low, 1.0 + clip_high)
    cost = torch.maximum(plain, clipped)
    above = torch.zeros_like(mask)
    if dual_clip is not None:
        ceiling = -weights * dual_clip
        above = (weights < 0) & (cost > ceiling) & mask
        cost = torch.where(weights < 0, torch.minimum(cost, ceiling), cost)
    importance, capped = torch.ones_like(old), torch.zeros_like(mask)
    if sampled is not None and importance_cap is not None:
        drift = (old - sampled.detach().masked_fill(~mask, 0.0)).clamp(max=LOG_RATIO_BOUND).exp()
        importance, capped = drift.clamp(max=importance_cap), (drift > importance_cap) & mask
        cost = cost * importance
    spread = torch.zeros_like(new)
    if entropies is not None:
        spread = entropies.masked_fill(~mask, 0.0)
        if entropy:
            cost = cost - entropy * spread
    apart = torch.zeros_like(new)
    if ref_logprobs is not None:
        reference = ref_logprobs.detach().masked_fill(~mask, 0.0)
        apart = divergence(new, reference, kl_estimator)
        if kl:
            cost = cost + kl * apart
    loss = _aggregate(cost, mask, aggregate, total)
    active = (clipped > plain) & mask
    with torch.no_grad():
        report = {
            "tokens": mask.sum(),
            "clipped_low": (active & (ratio < 1.0)).sum(),
            "clipped_high": (active & (ratio > 1.0)).sum(),
            "clipped_dual": above.sum(),
            "kl_old": ((ratio - 1.0 - log_ratio) * mask).sum(),
            "kl_reference": (apart * mask).sum(),
            "entropy": (spread * mask).sum(),
            "importance": (importance * mask).sum(),
            "importance_capped": capped.sum(),
            "max_ratio": ratio.masked_fill(~mask, 0.0).amax(),
        }
    return loss, {name: value.detach().double() for name, value in report.items()}


def divergence(logprobs: Tensor, reference: Tensor, estimator: KLEstimator) -> Tensor:
    """Per-token estimate of KL(policy || reference) from tokens that the policy sampled.

    With d = reference - logprobs: "k1" -d, unbiased, with a gradient that is 0 on average; "k2"
    d^2 / 2; "k3" exp(d) - d - 1, unbiased and never negative (Schulman, joschu.net/blog/kl-approx),
    held at `K3_BOUND`.
    """
    gap = (reference - logprobs).clamp(-LOG_RATIO_BOUND, LOG_RATIO_BOUND)
    match estimator:
        case "k1":
            return -gap
        case "k2":
            return gap.square() / 2.0
        case "k3":
            return (gap.exp() - gap - 1.0).clamp(max=K3_BOUND)
    raise UsageError(f"{estimator!r} is no KL estimator", fix="choose k1, k2 or k3")


def summarise(reports: Iterable[Mapping[str, Tensor | float]]) -> dict[str, float]:
    """One report of many micro-batches: shares of the tokens, means over them, the largest ratio.

    `tokens` stays a count. Without tokens all others are 0.
    """
    reports = list(reports)
    sums = {name: sum(float(report[name]) for report in reports) for name in SUMS}
    tokens = sums["tokens"] or 1.0
    means = {name: value / tokens for name, value in sums.items() if name != "tokens"}
    largest = max((float(report["max_ratio"]) for report in reports), default=0.0)
    return {"tokens": sums["tokens"], **means, "max_ratio": largest}


def _aggregate(
    cost: Tensor, mask: Tensor, aggregate: Aggregate, total: float | Tensor | None
) -> Tensor:
    cost = cost.masked_fill(~mask, 0.0)
    lengths = mask.sum(-1)
    if aggregate == "token_mean":
        return cost.sum() / (lengths.sum().clamp(min=1) if total is None else total)
    if aggregate == "sequence_mean":
        means = cost.sum(-1) / lengths.clamp(min=1)
        return means.sum() / (len(cost) if total is None else total)
    raise UsageError(f"{aggregate!r} is no aggregation", fix="choose token_mean or sequence_mean")


def _check(
    logprobs: Tensor,
    old: Tensor,
    advantages: Tensor,
    mask: Tensor,
    reference: Tensor | None,
    kl: float,
) -> None:
    shapes = {"old_logprobs": old, "mask": mask, "ref_logprobs": reference}
    for name, tensor in shapes.items():
        if tensor is not None and tensor.shape != logprobs.shape:
            raise UsageError(
                f"has shape {tuple(tensor.shape)}, logprobs {tuple(logprobs.shape)}", where=name
            )
    if advantages.shape not in (logprobs.shape, (len(logprobs), 1)):
        fix = "pass one a sequence, or one a token"
        raise UsageError(f"has shape {tuple(advantages.shape)}", where="advantages", fix=fix)
    if kl and reference is None:
        raise UsageError("a KL term needs log-probabilities of the reference", where="kl")
