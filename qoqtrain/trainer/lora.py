"""Low-rank adapters in the language model (LoRA, arXiv 2106.09685), by peft."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qoqdata.errors import UsageError
from qoqtrain.trainer.plan.settings import Lora

if TYPE_CHECKING:
    from torch import Tensor


def add_lora(policy: Any, lora: Lora) -> None:
    """Put adapters into the language model's layers that `lora` names and freeze its weights.

    The policy keeps its structure. Raises UsageError when peft is not installed, and for a name
    that no layer has.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise UsageError("peft is not installed", fix="pip install 'qoqdata[train]'") from error
    model = policy.vlm.model.language_model
    layers = _linear(model)
    # peft passes over a name that no layer has where another one fits.
    if strange := [name for name in lora.targets if name not in layers]:
        fix = f"choose of {', '.join(sorted(layers))}"
        raise UsageError(f"no layer is called {strange[0]}", where="lora.targets", fix=fix)
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=list(lora.targets),
    )
    inject_adapter_in_model(config, model)


def _linear(model: Any) -> set[str]:
    """How the linear layers of a model are called."""
    from torch import nn

    named = model.named_modules()
    return {name.rpartition(".")[2] for name, layer in named if isinstance(layer, nn.Linear)}


def switch_lora(policy: Any, *, on: bool) -> None:
    """Switch all adapters of the policy on or off."""
    for layer in _layers(policy):
        layer.enable_adapters(on)


def merged_weights(weights: dict[str, Tensor], policy: Any) -> dict[str, Tensor]:
    """The state dict of the policy without adapters, their products added to the weights.

    `weights` is the state dict with adapters, as the engine gives it; for a policy without any it
    is returned as it is.
    """
    scales = {
        name: layer.scaling["default"] for name, layer in policy.named_modules() if _is_layer(layer)
    }
    plain_weights = {}
    for name, value in weights.items():
        if ".lora_" in name:
            continue
        plain = name.replace(".base_layer.", ".")
        layer = name.rpartition(".base_layer.")[0]
        if layer in scales and name.endswith(".base_layer.weight"):
            up = weights[f"{layer}.lora_B.default.weight"].float()
            down = weights[f"{layer}.lora_A.default.weight"].float()
            value = (value.float() + scales[layer] * (up @ down)).to(value.dtype)
        plain_weights[plain] = value
    return plain_weights


def _layers(policy: Any) -> list[Any]:
    return [layer for layer in policy.modules() if _is_layer(layer)]


def _is_layer(module: Any) -> bool:
    return hasattr(module, "lora_A") and hasattr(module, "enable_adapters")
