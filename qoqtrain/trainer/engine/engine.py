"""Who holds the weights and steps them: torch alone, or DeepSpeed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from qoqdata.errors import UsageError
from qoqtrain.trainer.engine.deepspeed import (
    PLAIN_FILE,
    TORCH_FILE,
    DeepSpeedEngine,
    deepspeed_config,
    load_torch_state,
    place_trained,
)
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.plan.settings import TrainSettings

if TYPE_CHECKING:
    from torch import Tensor


class Engine(Protocol):
    """A policy and its optimizer. `module` is the policy, `device` where its inputs go."""

    module: Any
    device: torch.device

    @property
    def shares_prompts(self) -> bool:
        """Whether several responses may stand behind a prompt (`Policy.shares_prompts`)."""
        ...

    def forward(self, **inputs: Any) -> Tensor:
        """Logits of the policy, in the engine's precision."""
        ...

    def backward(self, loss: Tensor, *, last: bool) -> None:
        """Add the gradient of one micro-batch, which is the `last` before a step or not; the losses
        of all ranks are summed."""
        ...

    def step(self, learning_rate: float) -> float:
        """One optimizer step; the norm of the gradient before clipping, over all ranks."""
        ...

    def generating(self) -> AbstractContextManager[None]:
        """While this is open, `module` can generate; all ranks open it."""
        ...

    def save(self, folder: Path) -> None:
        """Write what is trained and the optimizer's state; all ranks call this."""
        ...

    def load(self, folder: Path, *, world: int) -> None:
        """Continue from what `save` wrote on `world` ranks; all ranks call this."""
        ...

    def weights(self) -> dict[str, Tensor]:
        """The whole state dict of the policy on rank 0, empty elsewhere; all ranks call this."""
        ...


def uses_deepspeed(settings: TrainSettings, world: int) -> bool:
    """Whether DeepSpeed runs the optimizer. Raises UsageError for torch on several ranks."""
    engine = settings.engine
    if engine.name == "torch" and (world > 1 or engine.zero or engine.offload != "none"):
        fix = "set engine.name to deepspeed"
        raise UsageError("torch alone does neither several ranks nor ZeRO nor offload", fix=fix)
    needed = world > 1 or engine.zero > 0 or engine.offload != "none"
    return engine.name == "deepspeed" or (engine.name == "auto" and needed)


def computes_in_bfloat16(settings: TrainSettings) -> bool:
    """Whether forward and backward run in bfloat16."""
    dtype = settings.engine.dtype
    return dtype == "bfloat16" or (dtype == "auto" and torch.cuda.is_available())


def start_engine(settings: TrainSettings, policy: Any, ranks: Ranks) -> Engine:
    """The engine of a run.

    Parameters that need no gradient stay as they are. Raises UsageError when nothing is to be
    trained or DeepSpeed is needed and not installed.
    """
    if not any(parameter.requires_grad for parameter in policy.parameters()):
        raise UsageError("no parameter of the policy is trained in this stage")
    optimizer = torch.optim.AdamW(
        _parameter_groups(policy, settings.optimizer.weight_decay),
        lr=settings.optimizer.learning_rate,
        betas=settings.optimizer.betas,
    )
    bfloat16 = computes_in_bfloat16(settings)
    if not uses_deepspeed(settings, ranks.world):
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return TorchEngine(policy.to(device), optimizer, settings.optimizer.clip_norm, bfloat16)
    config = deepspeed_config(settings, bfloat16=bfloat16)
    return DeepSpeedEngine(policy, optimizer, config, ranks)


def _parameter_groups(policy: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Weights with decay; norms and biases, which have one dimension, without."""
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


class TorchEngine:
    """One process: float32 weights, and bfloat16 by autocast."""

    def __init__(
        self, module: Any, optimizer: torch.optim.AdamW, clip_norm: float, bfloat16: bool
    ) -> None:
        self.module, self.optimizer = module, optimizer
        self.clip_norm, self.bfloat16 = clip_norm, bfloat16
        self.device = next(module.parameters()).device

    @property
    def shares_prompts(self) -> bool:
        return bool(self.module.shares_prompts)

    def forward(self, **inputs: Any) -> Tensor:
        with self._precision():
            return self.module(**inputs)

    def backward(self, loss: Tensor, *, last: bool) -> None:
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
        torch.save(state, folder / TORCH_FILE)

    def load(self, folder: Path, *, world: int) -> None:
        if (folder / TORCH_FILE).is_file():
            load_torch_state(self.module, self.optimizer, folder / TORCH_FILE, self.device)
            return
        # Of several ranks without ZeRO, in float32: each held the whole optimizer.
        state = torch.load(folder / PLAIN_FILE, map_location=self.device, weights_only=False)
        place_trained(self.module, state["module"])
        self.optimizer.load_state_dict(state["optimizer"])

    def weights(self) -> dict[str, Tensor]:
        return self.module.state_dict()

    def _precision(self) -> AbstractContextManager[Any]:
        if self.bfloat16:
            return torch.autocast(self.device.type, torch.bfloat16)
        return nullcontext()
