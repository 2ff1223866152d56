"""Runs that ask servers over HTTP: the numbers do not depend on which of them answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from qoqtrain.trainer.log import metrics
from qoqtrain.trainer.loop import train
from qoqtrain.trainer.plan.settings import read_settings
from qoqtrain.trainer.step import policy_step
from tests.qoqtrain.loopback import serving
from tests.qoqtrain.trainer.conftest import MIX

#: Requests after which a server that is to die answers nothing more: in the second step.
LIFE = 3


class Known:
    """What the stubs have to know of a prompt: its length, and tokens and text of answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.prompts: dict[str, tuple[int, list[tuple[str, list[int]]]]] = {}
        real = policy_step.sampler_of

        def noting(run: Any, rows: Any, records: Any) -> Callable[..., Any]:
            sampler = real(run, rows, records)

            def sample(prompts: Any, sampling: Any, **place: int) -> Any:
                tokenizer = run.collator.processor.tokenizer
                for prompt in prompts:
                    texts = [rf"\boxed{{{prompt.record['answer']}}}", r"\boxed{none of it}"]
                    answers = [(text, tokenizer(text).input_ids[:24]) for text in texts]
                    key = json.dumps(sampler.messages_of(prompt.record))
                    self.prompts[key] = prompt.length, answers
                return sampler(prompts, sampling, **place)

            return sample

        monkeypatch.setattr(policy_step, "sampler_of", noting)

    def answer(self, body: dict[str, Any]) -> bytes:
        """Right or wrong as the seed says."""
        length, answers = self.prompts[json.dumps(body["messages"])]
        choices = []
        for index in range(body["n"]):
            text, tokens = answers[(body["seed"] >> index) % 2]
            content = [{"logprob": -1.0}] * len(tokens)
            choices.append(
                {
                    "index": index,
                    "message": {"content": text},
                    "finish_reason": "stop",
                    "token_ids": tokens,
                    "logprobs": {"content": content},
                }
            )
        return json.dumps({"choices": choices, "usage": {"prompt_tokens": length}}).encode()


class Stub:
    """A server: the paths it was asked, and after how many questions it dies."""

    def __init__(self, known: Known, life: int | None = None) -> None:
        self.known, self.life = known, life
        self.questions, self.pushes = 0, 0

    def __call__(self, path: str, body: dict[str, Any]) -> tuple[int, bytes]:
        if self.life is not None and self.questions >= self.life:
            return 503, b"dead"
        if path.endswith("/chat/completions"):
            self.questions += 1
            return 200, self.known.answer(body)
        self.pushes += path == "/collective_rpc"
        return 200, b""


def lines(small: dict[str, Any], out: Path, urls: list[str], steps: int = 3) -> list[dict]:
    """The lines of a run of `steps` steps into `out`, which goes on where one was."""
    weights = {name: weight for name, weight in MIX["weights"].items() if name != "ecg"}
    given = {**small, "out": str(out), "steps": steps, "ecg": "none"}
    given["mix"] = {**MIX, "weights": weights}
    given["rollouts"] = {**small["rollouts"], "backend": "vllm", "url": urls}
    train(read_settings(values=given))
    found = metrics.read_metrics(out / metrics.FILE)
    for line in found:
        del line["time"]
    return found


def test_a_server_that_dies_and_another_server_after_a_resume_change_no_number(
    small: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = Known(monkeypatch)
    one, two, dying = Stub(known), Stub(known), Stub(known, LIFE)
    with ExitStack() as stack:
        urls = [f"{stack.enter_context(serving(stub))}/v1" for stub in (one, two, dying)]
        expected = lines(small, tmp_path / "one", urls[:1])
        assert any(line["gradient_norm"] > 0 for line in expected)
        assert (one.questions, one.pushes) == (12, 3)
        # Two servers, each with half of the questions; one of them dies in the second step.
        assert lines(small, tmp_path / "two", [urls[1], urls[2]]) == expected
        assert dying.questions == LIFE and dying.pushes == 2
        assert two.questions == 12 - LIFE and two.pushes == 3
        # The checkpoint is of step 2: another server answers from there on.
        lines(small, tmp_path / "moved", urls[:1], steps=2)
        assert lines(small, tmp_path / "moved", urls[1:2]) == expected
        assert two.questions == 12 - LIFE + 4
