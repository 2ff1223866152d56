"""Rollouts from SGLang servers, over their own HTTP interface, and their new weights.

A prompt goes as token ids, with one placeholder for each of its images, or with an ECG as the
embeddings that the trainer has worked out, for which the server must run with
`--disable-radix-cache`. Every rollout is a request with a seed of its own, which the server heeds
with `--enable-deterministic-inference`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoqdata.errors import QoqdataError
from qoqtrain.rollout.protocol import (
    Prompt,
    Rollout,
    SamplingSettings,
    data_url,
    refuse_length,
    seed_of,
)
from qoqtrain.rollout.server import LOCAL, post, root_of, strange
from qoqtrain.rollout.servers import Servers

if TYPE_CHECKING:
    from torch import Tensor

_EMBEDDINGS = "start it with --disable-radix-cache, or set ecg to none"


@dataclass(frozen=True)
class SglangSampler:
    """Asks `servers` for answers to prompts of the token `ids`, by row, placeholders of images not
    expanded; fields as in `vllm.VllmSampler`.

    Log-probabilities are taken only where temperature and top-p bend nothing.
    """

    servers: Servers
    ids: Sequence[Sequence[int]]
    embeddings: Mapping[int, Tensor] = field(default_factory=dict)
    timeout: float = 600.0
    opened: str = ""
    silent: tuple[int, ...] = ()

    def __call__(
        self, prompts: Sequence[Prompt], sampling: SamplingSettings, *, seed: int, step: int
    ) -> list[Rollout]:
        """`n` rollouts of every prompt, question after question.

        Raises QoqdataError when no server answers or one answers something else.
        """

        def ask(url: str, prompt: Prompt, row: int) -> list[Rollout]:
            shown, fix = self._shown(prompt, row)
            rollouts = []
            for index in range(sampling.n):
                own = seed_of(seed, step, prompt.question, prompt.copy, index) % 2**31
                body = {
                    **shown,
                    "sampling_params": self._parameters(sampling, own),
                    "return_logprob": True,
                }
                answer = post(f"{root_of(url)}/generate", body, timeout=self.timeout, fix=fix)
                rollouts.append(self._rollout(url, answer, prompt, row, index, sampling.plain))
            return rollouts

        return self.servers.ask(prompts, ask)

    def _shown(self, prompt: Prompt, row: int) -> tuple[dict[str, Any], str]:
        """What the server reads of a prompt, and what to do where it does not."""
        if (embedded := self.embeddings.get(row)) is not None:
            return {"input_embeds": embedded.detach().float().cpu().tolist()}, _EMBEDDINGS
        images = [data_url(image) for image in prompt.record.get("images") or ()]
        shown: dict[str, Any] = {"input_ids": list(self.ids[row])}
        return (shown | {"image_data": images} if images else shown), LOCAL

    def _parameters(self, sampling: SamplingSettings, seed: int) -> dict[str, Any]:
        return {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "max_new_tokens": sampling.max_tokens,
            "sampling_seed": seed,
            "logit_bias": {str(token): -100.0 for token in self.silent},
        }

    def _rollout(
        self, url: str, answer: Any, prompt: Prompt, row: int, index: int, plain: bool
    ) -> Rollout:
        try:
            facts = answer["meta_info"]
            prompted, reason = int(facts["prompt_tokens"]), str(facts["finish_reason"]["type"])
            pairs = [(float(one[0]), int(one[1])) for one in facts["output_token_logprobs"]]
            text = str(answer["text"])
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise strange(
                url, f"an answer without {error}", fix=f"use SGLang, or {LOCAL}"
            ) from error
        refuse_length(prompt, prompted)
        if reason not in ("stop", "length") or not pairs:
            fix = "see what the server says of it"
            raise strange(url, f"an answer that ended by {reason}, of {len(pairs)} tokens", fix=fix)
        return Rollout(
            question=prompt.question,
            row=row,
            index=index,
            tokens=tuple(token for _, token in pairs),
            text=self.opened + text,
            truncated=reason == "length",
            logprobs=tuple(value for value, _ in pairs) if plain else None,
        )


def load_weights(url: str, folder: Path, *, timeout: float = 600.0) -> None:
    """Have the server at `url` load the weights in `folder`, and forget what it computed with the
    former ones. Whoever reaches it can do that: it belongs on a private network.

    Raises QoqdataError when it does not answer or cannot load them.
    """
    fix = "start it where it sees the run's folder, or set rollouts.push to false"
    call = {"model_path": str(folder), "flush_cache": True}
    answer = post(f"{root_of(url)}/update_weights_from_disk", call, timeout=timeout, fix=fix)
    if not isinstance(answer, Mapping) or answer.get("success") is not True:
        said = answer.get("message") if isinstance(answer, Mapping) else None
        raise QoqdataError(f"did not take the weights: {said or answer}", where=url, fix=fix)
