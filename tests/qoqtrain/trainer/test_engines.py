"""Runs whose ECGs are asked of engines other than the policy: stubs of their protocols, each of
which holds the policy that was pushed and answers from the embeddings that it is sent.

The trainer's own log-probabilities of what they sampled are theirs: the embeddings and the places
that an engine gives them are those of the policy.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

torch = pytest.importorskip("torch")

from qoqdata.errors import UsageError  # noqa: E402
from qoqtrain.model.loading import load_policy  # noqa: E402
from qoqtrain.trainer.log import metrics  # noqa: E402
from qoqtrain.trainer.loop import train  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402
from tests.qoqtrain.loopback import serving  # noqa: E402
from tests.qoqtrain.trainer import processes  # noqa: E402
from tests.qoqtrain.trainer.conftest import MIX  # noqa: E402


class Served:
    """The policy as an engine holds it: `loaded` folders, `asked` prompts of so many tokens."""

    def __init__(self, model: str) -> None:
        self.loaded, self.asked = 0, 0
        self.load(model)
        self.loaded = 0

    def load(self, folder: str) -> None:
        self.policy, self.processor = load_policy(folder, dtype="float32")
        self.policy.eval()
        self.loaded += 1

    @torch.no_grad()
    def answer(self, embedded: Any, seed: int, most: int) -> tuple[list[int], list[float]]:
        """Tokens after the embeddings of a prompt, placed as text, and their log-probabilities."""
        self.asked += 1
        draw = torch.Generator().manual_seed(seed % 2**63)
        tokens: list[int] = []
        logprobs: list[float] = []
        while len(tokens) < most and self.processor.eos_token_id not in tokens:
            length = embedded.shape[0]
            out = self.policy.core.language_model(
                inputs_embeds=embedded[None],
                position_ids=torch.arange(length).expand(3, 1, length),
            )
            odds = self.policy._spoken(out.last_hidden_state[:, -1]).log_softmax(-1)[0]
            token = int(torch.multinomial(odds.exp(), 1, generator=draw))
            tokens.append(token)
            logprobs.append(float(odds[token]))
            next_one = self.policy.core.get_input_embeddings()(torch.tensor([token]))
            embedded = torch.cat([embedded, next_one])
        return tokens, logprobs

    def text(self, tokens: list[int]) -> str:
        return self.processor.decode(tokens)

    def reason(self, tokens: list[int]) -> str:
        return "stop" if tokens[-1] == self.processor.eos_token_id else "length"


def as_vllm(served: Served) -> Callable[[str, Any], tuple[int, bytes]]:
    def answer(path: str, body: Any) -> tuple[int, bytes]:
        if path == "/collective_rpc":
            served.load(body["kwargs"]["weights_path"])
        if path != "/v1/completions":
            return 200, b""
        content = base64.b64decode(body["prompt_embeds"])
        embedded = torch.load(io.BytesIO(content), weights_only=True)
        choices = []
        for index in range(body["n"]):
            tokens, logprobs = served.answer(embedded, body["seed"] + index, body["max_tokens"])
            choices.append(
                {
                    "index": index,
                    "text": served.text(tokens),
                    "token_ids": tokens,
                    "finish_reason": served.reason(tokens),
                    "logprobs": {"token_logprobs": logprobs},
                }
            )
        usage = {"prompt_tokens": embedded.shape[0]}
        return 200, json.dumps({"choices": choices, "usage": usage}).encode()

    return answer


def as_sglang(served: Served) -> Callable[[str, Any], tuple[int, bytes]]:
    def answer(path: str, body: Any) -> tuple[int, bytes]:
        if path == "/update_weights_from_disk":
            served.load(body["model_path"])
            return 200, b'{"success": true, "message": ""}'
        if path != "/generate":
            return 404, b""
        embedded = torch.tensor(body["input_embeds"])
        own = body["sampling_params"]
        tokens, logprobs = served.answer(embedded, own["sampling_seed"], own["max_new_tokens"])
        facts = {
            "prompt_tokens": embedded.shape[0],
            "finish_reason": {"type": served.reason(tokens)},
            "output_token_logprobs": [[p, t, None] for p, t in zip(logprobs, tokens, strict=True)],
        }
        return 200, json.dumps({"text": served.text(tokens), "meta_info": facts}).encode()

    return answer


def about_ecgs(small: dict[str, Any], **rollouts: Any) -> dict[str, Any]:
    """Settings of two steps that ask about ECGs alone."""
    weights = {name: float(name == "ecg") for name in MIX["weights"]}
    given = {**small, "steps": 2, "mix": {"by": "domain", "weights": weights}}
    return {**given, "rollouts": {**small["rollouts"], "response_tokens": 8, **rollouts}}


def ecg_run(small: dict[str, Any], **rollouts: Any) -> list[dict[str, Any]]:
    """The lines of such a run."""
    train(read_settings(values=about_ecgs(small, **rollouts)))
    return metrics.read_metrics(Path(small["out"]) / metrics.FILE)


@pytest.mark.parametrize(("backend", "speaks"), [("vllm", as_vllm), ("sglang", as_sglang)])
def test_a_server_answers_from_embeddings_as_the_policy_would(
    small: dict[str, Any], backend: str, speaks: Callable[[Served], Any]
) -> None:
    served = Served(small["model"])
    with serving(speaks(served)) as address:
        lines = ecg_run(small, backend=backend, url=f"{address}/v1")
    assert served.loaded == 2 and served.asked == 2 * 4 * 4
    assert [line["policy"]["kl_old"] for line in lines] == pytest.approx([0.0] * 2, abs=1e-6)
    # They are the old ones; the trainer worked none out.
    assert all("old" not in line["time"]["parts"] for line in lines)
    assert not (Path(small["out"]) / "serving").exists()


@pytest.mark.slow
def test_ranks_that_share_the_weights_embed_together(small: dict[str, Any]) -> None:
    """ZeRO-3: every rank gathers them as often as the others."""
    served = Served(small["model"])
    with serving(as_vllm(served)) as address:
        given = about_ecgs(small, backend="vllm", url=f"{address}/v1")
        ended = processes.run({**given, "engine": {**small["engine"], "zero": 3}}, world=2)
    assert [process.code for process in ended] == [0, 0], ended[0].errors + ended[1].errors
    lines = metrics.read_metrics(Path(small["out"]) / metrics.FILE)
    assert served.loaded == 2 and served.asked == 2 * 4 * 4
    assert [line["policy"]["kl_old"] for line in lines] == pytest.approx([0.0] * 2, abs=1e-6)


class Llm:
    """What is used of vLLM's engine, with a log of what was asked of it."""

    made: ClassVar[list[Llm]] = []

    def __init__(self, **options: Any) -> None:
        self.options, self.log = options, []
        self.served = Served(options["model"])
        Llm.made.append(self)

    def sleep(self, level: int) -> None:
        self.log.append(f"sleep {level}")

    def wake_up(self, tags: list[str]) -> None:
        self.log.append(f"wake {tags[0]}")

    def collective_rpc(self, method: str, kwargs: dict[str, str]) -> None:
        self.served.load(kwargs["weights_path"])
        self.log.append(method)

    def generate(self, prompts: list[Any], parameters: list[Any], use_tqdm: bool) -> list[Any]:
        self.log.append("generate")
        return [self.one(prompt, own) for prompt, own in zip(prompts, parameters, strict=True)]

    def one(self, prompt: Any, own: Any) -> Any:
        outputs = []
        for index in range(own.n):
            tokens, logprobs = self.served.answer(
                prompt["prompt_embeds"], own.seed + index, own.max_tokens
            )
            pairs = zip(tokens, logprobs, strict=True)
            outputs.append(
                SimpleNamespace(
                    index=index,
                    text=self.served.text(tokens),
                    token_ids=tokens,
                    finish_reason=self.served.reason(tokens),
                    logprobs=[{token: SimpleNamespace(logprob=p)} for token, p in pairs],
                )
            )
        return SimpleNamespace(prompt_token_ids=None, outputs=outputs[::-1])


def test_a_colocated_engine_sleeps_while_the_policy_is_updated(
    small: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the package; no vLLM ran here."""
    spec = SimpleNamespace(LLM=Llm, SamplingParams=lambda **own: SimpleNamespace(**own))
    monkeypatch.setitem(sys.modules, "vllm", spec)
    monkeypatch.setattr("qoqtrain.trainer.plan.refusals.is_installed", lambda _: True)
    Llm.made = []
    lines = ecg_run(small, backend="vllm_colocated", memory=0.3)
    (engine,) = Llm.made
    step = ["wake weights", "reload_weights", "wake kv_cache", "generate", "sleep 2"]
    assert engine.log == ["sleep 2", *step, *step]
    assert engine.options["gpu_memory_utilization"] == 0.3
    assert engine.options["enable_sleep_mode"] and engine.options["enable_prompt_embeds"]
    assert engine.options["max_model_len"] == 4096 + 8
    assert [line["policy"]["kl_old"] for line in lines] == pytest.approx([0.0] * 2, abs=1e-6)


def test_without_the_package_it_is_refused_in_one_line(small: dict[str, Any]) -> None:
    if "vllm" in sys.modules:
        pytest.skip("vllm is installed here")
    with pytest.raises(UsageError, match=r"rollouts.backend: vllm is not installed. Fix: ") as told:
        ecg_run(small, backend="vllm_colocated")
    assert "\n" not in str(told.value)


def test_embeddings_are_of_prompts_without_images(small: dict[str, Any]) -> None:
    """Places of images are in no embedding."""
    policy, _ = load_policy(small["model"], dtype="float32")
    ids = torch.tensor([[policy.config.image_token_id]])
    ones = torch.ones_like(ids)
    with pytest.raises(UsageError, match="more than its embeddings"):
        policy.embeddings(ids, ones, ones)
