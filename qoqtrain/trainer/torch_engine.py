"""One process with torch alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import Tensor

FILE = "engine.pt"


class TorchEngine:
    """One process: float32 weights, and bfloat16 by autocast."""

    def __init__(
        self, module: Any, optimizer: torch.optim.AdamW, clip_norm: float, bfloat16: bool
    ) -> None:
        self.module, self.optimizer = module, optimizer
        self.clip_norm, self.bfloat16 = clip_norm, bfloat16
        self.device = next(module.parameters()).device

    def forward(self, **inputs: Any) -> Tensor:
        with self._precision():
            return self.module(**inputs)

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def step(self, learning_rate: float) -> float:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.clip_grad_norm_(parameters, self.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(norm)

    @contextmanager
    def generating(self) -> Iterator[None]:
        with self._precision():
            yield

    def save(self, folder: Path) -> None:
        trained = {
            name: value.detach()
            for name, value in self.module.named_parameters()
            if value.requires_grad
        }
        state = {"trained": trained, "optimizer": self.optimizer.state_dict()}
        torch.save(state, folder / FILE)

    def load(self, folder: Path) -> None:
        state = torch.load(folder / FILE, map_location=self.device, weights_only=True)
        own = dict(self.module.named_parameters())
        with torch.no_grad():
            for name, value in state["trained"].items():
                own[name].copy_(value)
        self.optimizer.load_state_dict(state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        return self.module.state_dict()

    def _precision(self) -> AbstractContextManager[Any]:
        if self.bfloat16:
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()
