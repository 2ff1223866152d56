"""Rollouts from vLLM servers, over their OpenAI-compatible HTTP interface, and their new weights.

Servers need the policy's current weights (`load_weights`). Questions with images are chat messages.
Those with an ECG, whose encoder no server has, are embeddings of their prompts, which the server
places as text: with Qwen's positions vLLM before 0.24 ends at the first one (CVE-2026-55514).
Tokens come back as ids (`return_token_ids`), with the log-probabilities that they were sampled
with.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.rollout.protocol import (
    Prompt,
    Rollout,
    SamplingSettings,
    data_url,
    refuse_length,
    seed_of,
)
from qoqtrain.rollout.server import post, root_of, strange
from qoqtrain.rollout.servers import Servers

if TYPE_CHECKING:
    from torch import Tensor

_DEVELOPMENT_MODE = (
    "start it with VLLM_SERVER_DEV_MODE=1 where it sees the run's folder,"
    " or set rollouts.push to false"
)
_EMBEDDINGS = "start vLLM 0.24 or later with --enable-prompt-embeds, or set ecg to none"
_RELEASE = "use a vLLM release with return_token_ids, or set rollouts.backend to local"


@dataclass(frozen=True)
class VllmSampler:
    """Asks `servers` for `model`; `messages_of` writes a record as chat messages (`chat_message`
    makes the user's), `embeddings` (tokens, width) of the prompts that are sent as such, by row;
    `timeout` in seconds is for one question. `opened` is what the chat template writes of every
    response; `silent` are ids never to be sampled.

    Servers give log-probabilities before temperature and top-p, so they are taken only where both
    are 1; otherwise the trainer computes its own.
    """

    servers: Servers
    model: str
    messages_of: Callable[[Mapping[str, Any]], list[dict[str, Any]]]
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
            body = self._body(prompt, sampling, seed, step)
            if (embedded := self.embeddings.get(row)) is None:
                body["messages"] = self.messages_of(prompt.record)
                body |= {"max_completion_tokens": sampling.max_tokens, "logprobs": True}
                return self._answer(url, "chat/completions", body, prompt, row, sampling)
            body["prompt_embeds"] = encoded(embedded)
            body |= {"max_tokens": sampling.max_tokens, "logprobs": 1}
            return self._answer(url, "completions", body, prompt, row, sampling)

        return self.servers.ask(prompts, ask)

    def _body(
        self, prompt: Prompt, sampling: SamplingSettings, seed: int, step: int
    ) -> dict[str, Any]:
        return {
            "model": self.model,
            "n": sampling.n,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": -1,
            "repetition_penalty": 1.0,
            # A seed is 63 bits there.
            "seed": seed_of(seed, step, prompt.question, prompt.copy) % 2**63,
            "return_token_ids": True,
            "logit_bias": {str(token): -100 for token in self.silent},
        }

    def _answer(
        self,
        url: str,
        route: str,
        body: Mapping[str, Any],
        prompt: Prompt,
        row: int,
        sampling: SamplingSettings,
    ) -> list[Rollout]:
        fix = _EMBEDDINGS if "prompt_embeds" in body else _RELEASE
        answer = post(f"{url.rstrip('/')}/{route}", body, timeout=self.timeout, fix=fix)
        try:
            prompted = int(answer["usage"]["prompt_tokens"])
            choices = sorted(answer["choices"], key=lambda choice: choice["index"])
            rollouts = [self._rollout(prompt, row, choice, sampling.plain) for choice in choices]
        except (KeyError, TypeError, ValueError) as error:
            raise _strange(url, f"an answer without {error}") from error
        refuse_length(prompt, prompted)
        if len(rollouts) != sampling.n:
            raise _strange(url, f"{len(rollouts)} answers instead of {sampling.n}")
        return rollouts

    def _rollout(self, prompt: Prompt, row: int, choice: Mapping[str, Any], plain: bool) -> Rollout:
        tokens = tuple(int(token) for token in choice["token_ids"])
        logprobs = tuple(_logprobs(choice.get("logprobs") or {}))
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        return Rollout(
            question=prompt.question,
            row=row,
            index=int(choice["index"]),
            tokens=tokens,
            text=self.opened + str(text or ""),
            truncated=choice["finish_reason"] == "length",
            logprobs=logprobs if plain and len(logprobs) == len(tokens) else None,
        )


def _logprobs(found: Mapping[str, Any]) -> list[float]:
    """One a token, as chats give them and as completions do."""
    if (content := found.get("content")) is not None:
        return [float(entry["logprob"]) for entry in content]
    return [float(value) for value in found.get("token_logprobs") or ()]


def encoded(embedded: Tensor) -> str:
    """A tensor as vLLM takes prompt embeddings: what `torch.save` writes, in base64."""
    import torch

    with io.BytesIO() as stream:
        # A view would bring along all that it is a view of.
        torch.save(embedded.detach().to("cpu").clone(), stream)
        return base64.b64encode(stream.getvalue()).decode()


def _strange(url: str, what: str) -> QoqdataError:
    return strange(url, what, fix=_RELEASE)


def chat_message(text: str, images: Sequence[bytes], mark: str) -> dict[str, Any]:
    """The user's message: `text` with encoded `images` where `mark` stands in it.

    Raises UsageError when there are not as many marks as images.
    """
    head, *rest = text.split(mark)
    if len(rest) != len(images):
        raise UsageError(f"{len(rest)} marks for {len(images)} images")
    content: list[dict[str, Any]] = [{"type": "text", "text": head}] if head else []
    for image, tail in zip(images, rest, strict=True):
        content.append({"type": "image_url", "image_url": {"url": data_url(image)}})
        if tail:
            content.append({"type": "text", "text": tail})
    return {"role": "user", "content": content}


def load_weights(url: str, folder: Path, *, timeout: float = 600.0) -> None:
    """Have the server at `url` (".../v1") load the weights in `folder`, and forget what it computed
    with the former ones: keys and values of prompts, and encoded images.

    The routes are those of its development mode (`VLLM_SERVER_DEV_MODE=1`): whoever reaches them
    can make the server load any folder, so it belongs on a private network.

    Raises QoqdataError when the server does not answer or cannot load them. A release that keeps no
    encoded images has no route to forget them, which is no error.
    """
    root = root_of(url)
    call = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
    post(f"{root}/collective_rpc", call, timeout=timeout, fix=_DEVELOPMENT_MODE)
    _forget(f"{root}/reset_prefix_cache", timeout)
    _forget(f"{root}/reset_encoder_cache", timeout, may_lack=True)


def _forget(target: str, timeout: float, *, may_lack: bool = False) -> None:
    answer = post(target, {}, timeout=timeout, fix=_DEVELOPMENT_MODE, may_lack=may_lack)
    if isinstance(answer, dict) and answer.get("success") is False:
        fix = "let nobody else ask the server while it serves a run"
        raise strange(target, "word that it still holds the cache", fix=fix)
