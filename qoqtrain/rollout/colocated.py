"""Rollouts from a vLLM engine in this process, which shares the accelerator with the trainer.

It sleeps while the policy is updated: its weights and cache are gone then, and each step begins
with the new weights read from the run's folder. Every rank has an engine of its own.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoqdata.errors import UsageError
from qoqtrain.rollout.protocol import Prompt, Rollout, SamplingSettings, refuse_length, seed_of

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(eq=False)
class ColocatedEngine:
    """`llm` is vLLM's engine, `vllm` its package; asleep but between `load` and `sleep`."""

    llm: Any
    vllm: Any

    def load(self, folder: Path) -> None:
        """Wake up with the weights in `folder`."""
        self.llm.wake_up(tags=["weights"])
        self.llm.collective_rpc("reload_weights", kwargs={"weights_path": str(folder)})
        self.llm.wake_up(tags=["kv_cache"])

    def sleep(self) -> None:
        """Give the memory of weights and cache back."""
        self.llm.sleep(level=2)


def start_colocated(
    model: str, *, dtype: str, tokens: int, memory: float, pixels: tuple[int, int], seed: int
) -> ColocatedEngine:
    """An engine that sleeps, for prompts and responses of so many `tokens` together.

    `memory` is the share of the accelerator's that it may take while awake, `pixels` the least and
    most of an image. Raises UsageError where vLLM is not installed.
    """
    try:
        vllm = importlib.import_module("vllm")
    except ImportError as error:
        fix = "pip install vllm, or set rollouts.backend to local or vllm"
        raise UsageError("vllm is not installed", where="rollouts.backend", fix=fix) from error
    llm = vllm.LLM(
        model=model,
        dtype=dtype,
        max_model_len=tokens,
        gpu_memory_utilization=memory,
        enable_sleep_mode=True,
        enable_prompt_embeds=True,
        # The launcher of the trainer has started this process and says which accelerator is its.
        distributed_executor_backend="external_launcher",
        mm_processor_kwargs={"min_pixels": pixels[0], "max_pixels": pixels[1]},
        seed=seed,
    )
    engine = ColocatedEngine(llm, vllm)
    engine.sleep()
    return engine


@dataclass(frozen=True)
class ColocatedSampler:
    """Asks `engine`; fields as in `sglang.SglangSampler`."""

    engine: ColocatedEngine
    ids: Sequence[Sequence[int]]
    embeddings: Mapping[int, Tensor] = field(default_factory=dict)
    opened: str = ""
    silent: tuple[int, ...] = ()

    def __call__(
        self, prompts: Sequence[Prompt], sampling: SamplingSettings, *, seed: int, step: int
    ) -> list[Rollout]:
        """`n` rollouts of every prompt, question after question; the engine sleeps afterwards."""
        shown = [self._shown(prompt, row) for row, prompt in enumerate(prompts)]
        parameters = [
            self.engine.vllm.SamplingParams(
                n=sampling.n,
                temperature=sampling.temperature,
                top_p=sampling.top_p,
                top_k=-1,
                repetition_penalty=1.0,
                max_tokens=sampling.max_tokens,
                logprobs=0,
                seed=seed_of(seed, step, prompt.question, prompt.copy) % 2**63,
                logit_bias=dict.fromkeys(self.silent, -100.0) or None,
            )
            for prompt in prompts
        ]
        try:
            answers = self.engine.llm.generate(shown, parameters, use_tqdm=False)
        finally:
            self.engine.sleep()
        rollouts = []
        for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
            if row not in self.embeddings:
                refuse_length(prompt, len(answer.prompt_token_ids))
            rollouts += [
                self._rollout(prompt, row, one, sampling.plain)
                for one in sorted(answer.outputs, key=lambda one: one.index)
            ]
        return rollouts

    def _shown(self, prompt: Prompt, row: int) -> dict[str, Any]:
        from PIL import Image

        if (embedded := self.embeddings.get(row)) is not None:
            return {"prompt_embeds": embedded.detach().cpu()}
        images = [Image.open(io.BytesIO(one)).convert("RGB") for one in _images(prompt)]
        shown: dict[str, Any] = {"prompt_token_ids": list(self.ids[row])}
        return shown | {"multi_modal_data": {"image": images}} if images else shown

    def _rollout(self, prompt: Prompt, row: int, one: Any, plain: bool) -> Rollout:
        tokens = tuple(int(token) for token in one.token_ids)
        logprobs = None
        if plain and one.logprobs is not None:
            pairs = zip(one.logprobs, tokens, strict=True)
            logprobs = tuple(float(found[token].logprob) for found, token in pairs)
        return Rollout(
            question=prompt.question,
            row=row,
            index=int(one.index),
            tokens=tokens,
            text=self.opened + str(one.text),
            truncated=one.finish_reason == "length",
            logprobs=logprobs,
        )


def _images(prompt: Prompt) -> Sequence[bytes]:
    return prompt.record.get("images") or ()
