"""Rollouts from vLLM servers, over their OpenAI-compatible HTTP interface, and their new weights.

Servers need the policy's current weights (`load_weights`). They read no ECG; nor are prompts sent
as embeddings: with Qwen's positions vLLM before 0.24 ends at the first one (CVE-2026-55514). Tokens
come back as ids (`return_token_ids`), with the log-probabilities that they were sampled with.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qoqdata.errors import QoqdataError, UsageError
from qoqtrain.rollout.protocol import Prompt, Rollout, SamplingSettings, seed_of
from qoqtrain.rollout.server import Unreachable, post, strange
from qoqtrain.rollout.servers import Servers

#: Requests under way at once; the server batches them.
PARALLEL = 64
_DEVELOPMENT_MODE = (
    "start it with VLLM_SERVER_DEV_MODE=1 where it sees the run's folder,"
    " or set rollouts.push to false"
)


@dataclass(frozen=True)
class ServerSampler:
    """Asks `servers` for `model`; `messages_of` writes a record as chat messages (`chat_message`
    makes the user's), `timeout` in seconds is for one question. `opened` is what the chat template
    writes of every response; `silent` are ids never to be sampled.

    A server that does not answer is done without, and its questions go to the others. Servers
    give log-probabilities before temperature and top-p, so they are taken only where both are 1;
    otherwise the trainer computes its own.
    """

    servers: Servers
    model: str
    messages_of: Callable[[Mapping[str, Any]], list[dict[str, Any]]]
    timeout: float = 600.0
    opened: str = ""
    silent: tuple[int, ...] = ()

    def __call__(
        self, prompts: Sequence[Prompt], sampling: SamplingSettings, *, seed: int, step: int
    ) -> list[Rollout]:
        """`n` rollouts of every prompt, question after question.

        Raises UsageError for a record with an ECG, QoqdataError when no server answers or one
        answers something else.
        """
        for prompt in prompts:
            if prompt.record.get("ecg") is not None:
                fix = "set rollouts.backend to local, or leave ECG records out"
                raise UsageError("a vLLM server reads no ECG", where=prompt.question, fix=fix)
        with ThreadPoolExecutor(min(PARALLEL, max(1, len(prompts)))) as pool:
            answers = [
                pool.submit(self._ask, prompt, row, sampling, seed, step)
                for row, prompt in enumerate(prompts)
            ]
            return [rollout for answer in answers for rollout in answer.result()]

    def _ask(
        self, prompt: Prompt, row: int, sampling: SamplingSettings, seed: int, step: int
    ) -> list[Rollout]:
        body = {
            "model": self.model,
            "messages": self.messages_of(prompt.record),
            "n": sampling.n,
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": -1,
            "repetition_penalty": 1.0,
            "max_completion_tokens": sampling.max_tokens,
            # A seed is 63 bits there.
            "seed": seed_of(seed, step, prompt.question, prompt.copy) % 2**63,
            "logprobs": True,
            "return_token_ids": True,
            "logit_bias": {str(token): -100 for token in self.silent},
        }
        *others, last = self.servers.order(row)
        for url in others:
            try:
                return self._answer(url, body, prompt, row, sampling)
            except Unreachable as error:
                self.servers.lose(url, error.what)
        return self._answer(last, body, prompt, row, sampling)

    def _answer(
        self,
        url: str,
        body: Mapping[str, Any],
        prompt: Prompt,
        row: int,
        sampling: SamplingSettings,
    ) -> list[Rollout]:
        answer = post(f"{url.rstrip('/')}/chat/completions", body, timeout=self.timeout)
        try:
            prompted = int(answer["usage"]["prompt_tokens"])
            choices = sorted(answer["choices"], key=lambda choice: choice["index"])
            plain = sampling.temperature == 1.0 and sampling.top_p == 1.0
            rollouts = [self._rollout(prompt, row, choice, plain) for choice in choices]
        except (KeyError, TypeError, ValueError) as error:
            raise _strange(url, f"an answer without {error}") from error
        if prompted != prompt.length:
            raise UsageError(
                f"the server's prompt has {prompted} tokens, the trainer's {prompt.length}",
                where=f"record {prompt.question}",
                fix="serve the same model, with the same bounds of pixels (--mm-processor-kwargs)",
            )
        if len(rollouts) != sampling.n:
            raise _strange(url, f"{len(rollouts)} answers instead of {sampling.n}")
        return rollouts

    def _rollout(self, prompt: Prompt, row: int, choice: Mapping[str, Any], plain: bool) -> Rollout:
        tokens = tuple(int(token) for token in choice["token_ids"])
        content = (choice.get("logprobs") or {}).get("content") or ()
        logprobs = tuple(float(entry["logprob"]) for entry in content)
        return Rollout(
            question=prompt.question,
            row=row,
            index=int(choice["index"]),
            tokens=tokens,
            text=self.opened + str(choice["message"]["content"] or ""),
            truncated=choice["finish_reason"] == "length",
            logprobs=logprobs if plain and len(logprobs) == len(tokens) else None,
        )


def _strange(url: str, what: str) -> QoqdataError:
    fix = "use a vLLM release with return_token_ids, or set rollouts.backend to local"
    return strange(url, what, fix=fix)


def chat_message(text: str, images: Sequence[bytes], mark: str) -> dict[str, Any]:
    """The user's message: `text` with encoded `images` where `mark` stands in it.

    Raises UsageError when there are not as many marks as images.
    """
    head, *rest = text.split(mark)
    if len(rest) != len(images):
        raise UsageError(f"{len(rest)} marks for {len(images)} images")
    content: list[dict[str, Any]] = [{"type": "text", "text": head}] if head else []
    for image, tail in zip(images, rest, strict=True):
        encoded = base64.b64encode(image).decode()
        url = f"data:{_mime(image)};base64,{encoded}"
        content.append({"type": "image_url", "image_url": {"url": url}})
        if tail:
            content.append({"type": "text", "text": tail})
    return {"role": "user", "content": content}


def _mime(image: bytes) -> str:
    return "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"


def load_weights(url: str, folder: Path, *, timeout: float = 600.0) -> None:
    """Have the server at `url` (".../v1") load the weights in `folder`, and forget what it computed
    with the former ones: keys and values of prompts, and encoded images.

    The routes are those of its development mode (`VLLM_SERVER_DEV_MODE=1`): whoever reaches them
    can make the server load any folder, so it belongs on a private network.

    Raises QoqdataError when the server does not answer or cannot load them. A release that keeps no
    encoded images has no route to forget them, which is no error.
    """
    root = url.rstrip("/").removesuffix("/v1")
    call = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
    post(f"{root}/collective_rpc", call, timeout=timeout, fix=_DEVELOPMENT_MODE)
    _forget(f"{root}/reset_prefix_cache", timeout)
    _forget(f"{root}/reset_encoder_cache", timeout, may_lack=True)


def _forget(target: str, timeout: float, *, may_lack: bool = False) -> None:
    answer = post(target, {}, timeout=timeout, fix=_DEVELOPMENT_MODE, may_lack=may_lack)
    if isinstance(answer, dict) and answer.get("success") is False:
        fix = "let nobody else ask the server while it serves a run"
        raise strange(target, "word that it still holds the cache", fix=fix)
