"""Several servers of one policy: which are asked, and which no longer answer.

What is asked decides the answer, not who is: the seed goes with the question. So a run gives the
same numbers whichever server answers, as far as theirs are the same.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field


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

    def regain(self, lost: dict[str, str]) -> None:
        """Know of those servers alone that they are lost, as another rank has found."""
        with self._lock:
            self.lost = dict(lost)
