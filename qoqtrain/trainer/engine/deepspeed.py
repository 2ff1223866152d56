"""ZeRO on any number of ranks, by DeepSpeed, and the configuration that it is given."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.trainer.engine.ranks import Ranks
from qoqtrain.trainer.engine.universal import write_universal
from qoqtrain.trainer.plan.settings import TrainSettings

if TYPE_CHECKING:
    from torch import Tensor

TAG = "engine"
#: What DeepSpeed writes of a plain run: the model with the whole optimizer.
PLAIN_FILE = f"{TAG}/mp_rank_00_model_states.pt"
#: What torch alone writes.
TORCH_FILE = "engine.pt"


class DeepSpeedEngine:
    """ZeRO 0 to 3 on any number of ranks."""

    def __init__(
        self, module: Any, optimizer: torch.optim.AdamW, config: dict[str, Any], ranks: Ranks
    ) -> None:
        deepspeed = _deepspeed()
        if not torch.cuda.is_available():
            # DeepSpeed would compile this collective on its first use; gloo does the same.
            deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        _alone(ranks)
        deepspeed.init_distributed(None if torch.cuda.is_available() else "gloo")
        self.zero = config["zero_optimization"]["stage"]
        self.bfloat16 = config["bf16"]["enabled"]
        self.scale = ranks.world * config["gradient_accumulation_steps"]
        self.ranks = ranks
        self._engine, *_ = deepspeed.initialize(
            model=module,
            optimizer=optimizer,
            model_parameters=optimizer.param_groups,
            config=config,
        )
        self.module = self._engine.module
        self.device = self._engine.device

    @property
    def shares_prompts(self) -> bool:
        return bool(self.module.shares_prompts)

    def forward(self, **inputs: Any) -> Tensor:
        return self._engine(**inputs)

    def backward(self, loss: Tensor, *, last: bool) -> None:
        # Steps have as many micro-batches as their examples need, so we say which one is the last.
        self._engine.set_gradient_accumulation_boundary(last)
        # DeepSpeed takes means over micro-batches and ranks; our losses are shares of one sum.
        self._engine.backward(loss * self.scale)
        if not last:
            # Its step counts micro-batches and does nothing else before the last one.
            self._engine.step()

    def step(self, learning_rate: float) -> float:
        for group in self._engine.optimizer.param_groups:
            group["lr"] = learning_rate
        own = None if self.zero or self.bfloat16 else self._norm()
        self._engine.step()
        return float(self._engine.get_global_grad_norm() if own is None else own)

    def _norm(self) -> float:
        """Of the gradients, which every rank holds alike; plain float32 DeepSpeed tells none."""
        gradients = [p.grad for p in self.module.parameters() if p.grad is not None]
        return float(torch.nn.utils.get_total_norm(gradients))

    @contextmanager
    def generating(self) -> Iterator[None]:
        yield

    def save(self, folder: Path) -> None:
        self._engine.save_checkpoint(
            str(folder), tag=TAG, save_latest=False, exclude_frozen_parameters=True
        )

    def load(self, folder: Path, *, world: int) -> None:
        if (folder / TORCH_FILE).is_file():
            load_torch_state(self.module, self._engine.optimizer, folder / TORCH_FILE, self.device)
        elif world == self.ranks.world or self.is_plain:
            self._load(folder)
        else:
            self._load_universal(folder)

    @property
    def is_plain(self) -> bool:
        """Whether every rank holds the optimizer's state whole, as torch alone does."""
        return not self.zero and not self.bfloat16

    def _load_universal(self, folder: Path) -> None:
        """Load what another number of ranks wrote; all ranks call this."""
        place = folder.with_name(f".{folder.name}.universal")
        failure: QoqdataError | None = None
        if self.ranks.first:
            try:
                write_universal(folder / TAG, place / TAG)
            except QoqdataError as error:
                failure = error
        self.ranks.agree(failure)
        self._engine._config.load_universal_checkpoint = True
        try:
            self._load(place)
            self._part_steps()
        finally:
            self._engine._config.load_universal_checkpoint = False
            self.ranks.wait()
            if self.ranks.first:
                shutil.rmtree(place, ignore_errors=True)

    def _part_steps(self) -> None:
        """Give every parameter a count of its own of its updates.

        At stage 3 DeepSpeed gives all of them one tensor, which each then counts up, so that Adam
        takes an early moment for a late one.
        """
        inner = getattr(self._engine.optimizer, "optimizer", None)
        for state in getattr(inner, "state", {}).values():
            if isinstance(state.get("step"), torch.Tensor):
                state["step"] = state["step"].clone()

    def _load(self, folder: Path) -> None:
        path, _ = self._engine.load_checkpoint(
            str(folder), tag=TAG, load_module_strict=False, load_lr_scheduler_states=False
        )
        if path is None:
            fix = "remove this folder to go on from the checkpoint before it"
            raise UsageError("holds no DeepSpeed checkpoint", where=str(folder), fix=fix)

    def weights(self) -> dict[str, Tensor]:
        if self.zero == 3:
            state = self._engine._zero3_consolidated_16bit_state_dict()
        else:
            state = self.module.state_dict()
        return dict(state) if self.ranks.first else {}


def load_torch_state(module: Any, optimizer: Any, path: Path, device: torch.device) -> None:
    """Put trained parameters and optimizer into place as torch alone wrote them."""
    state = torch.load(path, map_location=device, weights_only=True)
    place_trained(module, state["trained"])
    optimizer.load_state_dict(state["optimizer"])


def place_trained(module: Any, trained: Mapping[str, Tensor]) -> None:
    """Copy these parameters into a module, by name."""
    own = dict(module.named_parameters())
    with torch.no_grad():
        for name, value in trained.items():
            own[name].copy_(value)


def _deepspeed() -> Any:
    try:
        import deepspeed
        import deepspeed.ops
    except ImportError as error:
        fix = "pip install 'qoqdata[train]', or set engine.name to torch on one rank"
        raise UsageError("DeepSpeed is not installed", fix=fix) from error
    return deepspeed


def _alone(ranks: Ranks) -> None:
    """DeepSpeed wants the rendezvous of a launcher also for one process."""
    if ranks.world > 1 or "MASTER_PORT" in os.environ:
        return
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    alone = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}
    os.environ.update(alone | {"MASTER_PORT": str(port)})


#: Micro-batches of an optimizer step as DeepSpeed is told: it takes any number then.
SEVERAL = 2


def deepspeed_config(settings: TrainSettings, *, bfloat16: bool) -> dict[str, Any]:
    """The configuration that `deepspeed.initialize` gets.

    The optimizer is torch's AdamW, given beside it: DeepSpeed's own would be compiled first.
    The trainer sets the learning rate before every step. Losses are divided by the tokens of the
    global batch, so the trainer undoes DeepSpeed's means over ranks and micro-batches.
    """
    engine = settings.engine
    zero: dict[str, Any] = {"stage": engine.zero}
    if engine.zero:
        zero |= {"overlap_comm": True, "contiguous_gradients": True, "reduce_scatter": True}
    if engine.zero == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    if engine.offload != "none":
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if engine.offload == "all":
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    return {
        "train_micro_batch_size_per_gpu": settings.micro_batch,
        "gradient_accumulation_steps": SEVERAL,
        "gradient_clipping": settings.optimizer.clip_norm,
        "bf16": {"enabled": bfloat16},
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "steps_per_print": 1_000_000_000,
        "wall_clock_breakdown": False,
    }
