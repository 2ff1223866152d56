"""The policy that training started from, for the KL term."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch

from qoqtrain.trainer.lora import switch_lora

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor

    from qoqtrain.trainer.engine.engine import Engine


class Forward(Protocol):
    """What gives logits: an engine, or a frozen policy."""

    @property
    def device(self) -> torch.device: ...
    @property
    def shares_prompts(self) -> bool: ...
    def forward(self, **inputs: Any) -> Tensor: ...


class Reference(Protocol):
    """Opened for a while, it gives the logits of the first policy."""

    def opened(self, engine: Engine) -> AbstractContextManager[Forward]: ...


@dataclass(frozen=True, eq=False)
class FrozenCopy:
    """A second copy of the weights, whole on every rank, in `policy`'s dtype."""

    policy: Any

    @property
    def device(self) -> torch.device:
        return next(self.policy.parameters()).device

    @property
    def shares_prompts(self) -> bool:
        return bool(self.policy.shares_prompts)

    def forward(self, **inputs: Any) -> Tensor:
        return self.policy(**inputs)

    @contextmanager
    def opened(self, engine: Engine) -> Iterator[Forward]:
        yield self


@dataclass(frozen=True)
class WithoutLora:
    """The trained policy with its low-rank adapters switched off, which costs no memory."""

    @contextmanager
    def opened(self, engine: Engine) -> Iterator[Forward]:
        switch_lora(engine.module, on=False)
        try:
            yield engine
        finally:
            switch_lora(engine.module, on=True)


def frozen_copy(policy: Any, device: torch.device) -> FrozenCopy:
    """A reference from a policy of its own, which is moved to `device` and frozen."""
    policy.requires_grad_(False)
    return FrozenCopy(policy.eval().to(device))
