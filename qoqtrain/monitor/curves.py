"""From the numbers of a run to panels of curves: pure, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

#: Points of a curve; of a longer run each is the mean of a stretch of steps.
POINTS = 300
#: What stands for all domains together.
ALL = "all"

Line = Mapping[str, Any]


@dataclass(frozen=True)
class Curve:
    """`points` (step, value), ascending; `style` the number of its colour and dashes, None for all
    domains together; `bands` (step, low, high) of a 95 % interval."""

    name: str
    style: int | None
    points: Sequence[tuple[float, float]]
    bands: Sequence[tuple[float, float, float]] = ()


@dataclass(frozen=True)
class Panel:
    """Curves over one measure. `span` is the range of the measure, where it has one; `log`: drawn
    by its logarithm."""

    id: str
    title: str
    note: str
    curves: Sequence[Curve]
    span: tuple[float, float] | None = None
    log: bool = False


def panels(lines: Sequence[Line]) -> list[Panel]:
    """The panels of a run for which it has numbers."""
    names = sorted({name for line in lines for name in line.get("domains", {})})
    names += sorted(
        {d for line in lines for d in line.get("validation", {}).get("domains", {})} - {*names}
    )
    styles = {name: number for number, name in enumerate(names)}

    def by_domain(key: str, *, whole: str | None = None) -> list[Curve]:
        curves = [] if whole is None else [_curve(lines, ALL, None, lambda line: line.get(whole))]
        return curves + [
            _curve(lines, name, style, lambda line, n=name: _domain(line, n).get(key))  # type: ignore[misc]
            for name, style in styles.items()
        ]

    def single(name: str, *path: str, style: int | None = None) -> Curve:
        return _curve(lines, name, style, lambda line: _at(line, path))

    share = (0.0, 1.0)
    ess = (("weighted", "ess"), ("without weights", "drpo", "ess_unweighted"))
    kl = (("first policy", "policy", "kl_reference"), ("sampler", "policy", "kl_old"))
    every = [
        Panel(
            "reward",
            "Reward",
            "mean of a step's rollouts",
            by_domain("reward", whole="reward"),
            share,
        ),
        Panel(
            "answer",
            "Answers",
            "mean answer part, 0 wrong to 1 right; of rollouts, which are sampled",
            by_domain("answer", whole="answer"),
            share,
        ),
        *_validation(lines, styles),
        Panel(
            "success",
            "Success rate",
            "what DRPO takes a domain for, over all its questions so far",
            by_domain("success_rate"),
            share,
        ),
        Panel(
            "weight",
            "Weight",
            "mean of a domain's questions over the mean of all, within bounds",
            by_domain("weight"),
            log=True,
        ),
        Panel(
            "mass",
            "Share of the update",
            "squared advantage, of all",
            by_domain("squared_mass"),
            share,
        ),
        Panel(
            "ess",
            "Effective sample size",
            "share of the rollouts; 1 where all count alike",
            [single(n, *path, style=k) for k, (n, *path) in enumerate(ess)],
            share,
        ),
        Panel(
            "entropy",
            "Entropy",
            "nats a token of the responses",
            [single(ALL, "policy", "entropy")],
        ),
        Panel(
            "kl",
            "Divergence",
            "nats a token: from the first policy, where loss.kl is set, and from the sampler",
            [_or_off(single(n, *path, style=k)) for k, (n, *path) in enumerate(kl)],
        ),
        Panel("loss", "Loss", "of the update", [single(ALL, "loss")]),
        Panel("norm", "Gradient norm", "before clipping", [single(ALL, "gradient_norm")]),
        Panel(
            "tokens",
            "Length of responses",
            "tokens",
            by_domain("response_tokens", whole="response_tokens"),
        ),
        Panel("seconds", "Time of a step", "seconds", [single(ALL, "time", "seconds")]),
    ]
    shown = []
    for panel in every:
        curves = [curve for curve in panel.curves if curve.points]
        if curves:
            shown.append(Panel(panel.id, panel.title, panel.note, curves, panel.span, panel.log))
    return shown


def _validation(lines: Sequence[Line], styles: Mapping[str, int]) -> list[Panel]:
    """A panel for each figure of the validations that has values."""
    found = [line for line in lines if "validation" in line]
    # Of those that have intervals; the others are counts.
    names = {n: None for line in found for n, v in line["validation"].items() if _is_estimate(v)}
    made = []
    for name in names:
        curves = [_estimates(found, ALL, None, lambda line, n=name: line["validation"].get(n))]  # type: ignore[misc]
        curves += [
            _estimates(
                found,
                domain,
                style,
                lambda line, d=domain, n=name: line["validation"]["domains"].get(d, {}).get(n),  # type: ignore[misc]
            )
            for domain, style in styles.items()
        ]
        title = f"Validation: {name.replace('_', ' ')}"
        note = "answered greedily; shaded: 95 % intervals"
        made.append(Panel(f"validation-{name}", title, note, curves, (0.0, 1.0)))
    return made


def _is_estimate(value: Any) -> bool:
    return isinstance(value, Mapping) and "value" in value


def _estimates(
    lines: Sequence[Line], name: str, style: int | None, of: Callable[[Line], Any]
) -> Curve:
    rows = [(float(line["step"]), value) for line in lines if (value := of(line))]
    return Curve(
        name,
        style,
        [(step, value["value"]) for step, value in rows],
        [(s, v["low"], v["high"]) for s, v in rows if v["low"] is not None],
    )


def _curve(lines: Sequence[Line], name: str, style: int | None, of: Callable[[Line], Any]) -> Curve:
    points = [
        (float(line["step"]), float(value))
        for line in lines
        if isinstance(value := of(line), int | float)
    ]
    return Curve(name, style, condensed(points))


def condensed(
    points: Sequence[tuple[float, float]], most: int = POINTS
) -> list[tuple[float, float]]:
    """At most `most` points: the means of equally many that follow each other."""
    size = -(-len(points) // most) or 1
    stretches = [points[at : at + size] for at in range(0, len(points), size)]
    return [
        (sum(x for x, _ in part) / len(part), sum(y for _, y in part) / len(part))
        for part in stretches
    ]


def _or_off(curve: Curve) -> Curve:
    """Without points where all are 0: what it measures is off."""
    return curve if any(value for _, value in curve.points) else replace(curve, points=())


def _domain(line: Line, name: str) -> Mapping[str, Any]:
    row = line.get("domains", {}).get(name)
    return row if isinstance(row, Mapping) else {}


def _at(line: Line, path: Sequence[str]) -> Any:
    value: Any = line
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
