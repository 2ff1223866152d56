"""How much a run computes, and at what rate."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Schedule:
    """The compute of a run, the same for every arm.

    `warm_up` supervised steps; `batches` of `questions` with 5 rollouts each, every batch in
    `parts` optimizer steps; validation every `validate_every` batches.
    """

    warm_up: int = 60
    batches: int = 48
    questions: int = 512
    parts: int = 4
    validate_every: int = 8

    def times(self, factor: int) -> Schedule:
        """As many batches, `factor` times."""
        return replace(self, batches=self.batches * factor)


@dataclass(frozen=True)
class Choice:
    """Learning rate, which the search chooses for each arm, and entropy bonus."""

    rate: float
    entropy: float
