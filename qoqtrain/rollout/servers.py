"""Several servers of one policy: which are asked, and which no longer answer.

What is asked decides the answer, not who is: the seed goes with the question. So a run gives the
same numbers whichever server answers, as far as theirs are the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from qoqdata.errors import UsageError
from qoqtrain.rollout.protocol import Prompt, Rollout
from qoqtrain.rollout.server import Unreachable, get

#: Requests under way at once; the servers batch them.
PARALLEL = 64
#: Seconds within which a server says what it serves.
_PATIENCE = 5.0


def unreachable(urls: Sequence[str], model: str, *, tokens: int) -> dict[str, str]:
    """The servers of `urls` that do not answer, and why.

    Raises UsageError for one that answers and serves another model than `model`, or prompts and
    responses of fewer than `tokens`. One that does not say what it serves is believed.
    """
    lost = {}
    for url in urls:
        try:
            answer = get(f"{url.rstrip('/')}/models", timeout=_PATIENCE)
        except Unreachable as error:
            lost[url] = error.what
            continue
        served = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(served, list) or not all(isinstance(one, Mapping) for one in served):
            continue
        names = [str(one.get("id")) for one in served]
        if model not in names:
            fix = f"start it with --served-model-name {model}, or serve {model}"
            raise UsageError(f"serves {', '.join(names) or 'nothing'}", where=url, fix=fix)
        longest = served[names.index(model)].get("max_model_len")
        if isinstance(longest, int) and longest < tokens:
            fix = f"start it with --max-model-len {tokens}, or lower rollouts.prompt_tokens"
            what = f"serves {longest:,} tokens, prompt and response may have {tokens:,}"
            raise UsageError(what, where=url, fix=fix)
    return lost


@dataclass(eq=False)
class Servers:
    """The `urls` of servers (".../v1"), and of those that are `lost` the reason.

    One that was lost is not asked again before it has taken the weights of a step: it may have come
    back with those that it was started with.
    """

    urls: Sequence[str]
    lost: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def order(self, number: int) -> list[str]:
        """Whom to ask question `number`: questions go round, and what one cannot answer goes to
        the next. Where all are lost, all are asked again."""
        urls = [url for url in self.urls if url not in self.lost] or list(self.urls)
        first = number % len(urls)
        return [*urls[first:], *urls[:first]]

    def lose(self, url: str, why: str) -> None:
        """Do without a server from now on."""
        with self._lock:
            if url in self.lost:
                return
            self.lost[url] = why
        logging.getLogger(__name__).warning("%s: left out of the rollouts: %s", url, why)

    def ask(
        self, prompts: Sequence[Prompt], ask: Callable[[str, Prompt, int], list[Rollout]]
    ) -> list[Rollout]:
        """What `ask` brings of every prompt and its row from the server at a URL, in order; where
        one does not answer, from the next. Raises QoqdataError where none does, and what `ask`
        raises."""

        def one(prompt: Prompt, row: int) -> list[Rollout]:
            *others, last = self.order(row)
            for url in others:
                try:
                    return ask(url, prompt, row)
                except Unreachable as error:
                    self.lose(url, error.what)
            return ask(last, prompt, row)

        with ThreadPoolExecutor(min(PARALLEL, max(1, len(prompts)))) as pool:
            answers = [pool.submit(one, prompt, row) for row, prompt in enumerate(prompts)]
            return [rollout for answer in answers for rollout in answer.result()]

    def regain(self, lost: dict[str, str]) -> None:
        """Know of those servers alone that they are lost, as another rank has found."""
        with self._lock:
            self.lost = dict(lost)
