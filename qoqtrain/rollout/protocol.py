"""What a rollout is, what makes rollouts, and the seed that each one has for itself."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from qoqdata.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Rollout:
    """One sampled answer.

    `question` the record's id; `row` its place among the questions that were asked together;
    `index` 0 .. n-1 within its group; `tokens` the response, its end token included; `text` the
    same without special tokens; `truncated` when the token limit ended it; `logprobs` one a token
    from the sampler, or None where it gives none.
    """

    question: str
    row: int
    index: int
    tokens: tuple[int, ...]
    text: str
    truncated: bool
    logprobs: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Prompt:
    """One question, ready for the policy.

    `record` the row of the stream; `length` tokens of the prompt, images expanded; `copy` its
    position in the stream, which tells two visits of one question apart.
    """

    record: Mapping[str, Any]
    length: int
    copy: int

    @property
    def question(self) -> str:
        return str(self.record["id"])


@dataclass(frozen=True)
class SamplingSettings:
    """`n` rollouts of each question at `temperature`, from the `top_p` mass, up to `max_tokens`."""

    n: int
    temperature: float
    top_p: float
    max_tokens: int

    @property
    def plain(self) -> bool:
        """Whether log-probabilities before temperature and top-p are those that were sampled by."""
        return self.temperature == 1.0 and self.top_p == 1.0


class Sampler(Protocol):
    """Makes rollouts; the same arguments give the same rollouts."""

    def __call__(
        self, prompts: Sequence[Prompt], sampling: SamplingSettings, *, seed: int, step: int
    ) -> list[Rollout]:
        """`n` rollouts of every prompt, question after question, in the order given."""
        ...


def refuse_length(prompt: Prompt, tokens: int) -> None:
    """Raise UsageError where a server read a prompt as so many tokens, and the trainer as others.

    The log-probabilities of an update would be those of another prompt.
    """
    if tokens != prompt.length:
        raise UsageError(
            f"the server's prompt has {tokens} tokens, the trainer's {prompt.length}",
            where=f"record {prompt.question}",
            fix="serve the same model, with the same bounds of pixels (--mm-processor-kwargs)",
        )


def data_url(image: bytes) -> str:
    """An encoded image as servers take it in JSON."""
    kind = "image/png" if image.startswith(b"\x89PNG") else "image/jpeg"
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def seed_of(*parts: object) -> int:
    """128 bits from (run seed, step, question id, ...): equal parts, equal seed, on any machine."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
