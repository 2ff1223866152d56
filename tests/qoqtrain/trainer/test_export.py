"""A run whose rollouts come from a server: it must sample from the weights of every step.

The server here loads what the trainer pushes, over HTTP, as a policy of its own; its rollouts and
log-probabilities reach the step without the chat route.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from qoqdata.errors import QoqdataError  # noqa: E402
from qoqtrain.model.loading import load_policy  # noqa: E402
from qoqtrain.trainer.engine.reference import FrozenCopy  # noqa: E402
from qoqtrain.trainer.log import metrics  # noqa: E402
from qoqtrain.trainer.loop import train  # noqa: E402
from qoqtrain.trainer.plan.settings import read_settings  # noqa: E402
from qoqtrain.trainer.step import policy_step  # noqa: E402
from qoqtrain.trainer.step.sampling import local_sampler  # noqa: E402
from qoqtrain.trainer.step.sequences import Example, response_logprobs  # noqa: E402
from tests.qoqtrain.loopback import serving  # noqa: E402
from tests.qoqtrain.trainer.conftest import MIX  # noqa: E402


class Server:
    """Holds a policy; `loaded` counts how often it was given weights, `status` is its answer."""

    def __init__(self, model: str) -> None:
        self.policy = load_policy(model, dtype="float32")[0].eval()
        self.loaded, self.status = 0, 200
        self.url = ""

    def load(self, folder: str) -> None:
        self.policy = load_policy(folder, dtype="float32")[0].eval()
        self.loaded += 1

    def sampler(self, run: Any, rows: Any, _: Any) -> Any:
        """The run's sampler with the server's policy, and the log-probabilities of what it drew."""
        local = replace(local_sampler(run, rows), policy=self.policy)

        def sample(*asked: Any, **place: Any) -> list[Any]:
            found = local(*asked, **place)
            batch = [Example(one.row, one.tokens, 0.0) for one in found]
            with torch.no_grad():
                scored, _ = response_logprobs(FrozenCopy(self.policy), run.collator, rows, batch)
            return [
                replace(one, logprobs=tuple(line[: len(one.tokens)].tolist()))
                for one, line in zip(found, scored, strict=True)
            ]

        return sample


@pytest.fixture
def server(small, monkeypatch) -> Iterator[Server]:
    held = Server(small["model"])

    def answer(path: str, body: dict) -> tuple[int, bytes]:
        if path == "/collective_rpc" and held.status == 200:
            assert body["method"] == "reload_weights"
            held.load(body["kwargs"]["weights_path"])
        return held.status, b""

    monkeypatch.setattr(policy_step, "sampler_of", held.sampler)
    with serving(answer) as address:
        held.url = f"{address}/v1"
        yield held


def run(small: dict, server: Server, *assignments: str) -> list[dict]:
    """The lines of three steps of a run that asks `server`, ECGs left out: so in another order, and
    with more questions, of which some are learned from."""
    given = {**small, "steps": 3, "ecg": "none", "questions": 12}
    weights = {name: weight for name, weight in MIX["weights"].items() if name != "ecg"}
    given["mix"] = {**MIX, "weights": weights}
    given["rollouts"] = {**small["rollouts"], "backend": "vllm", "url": server.url}
    train(read_settings(values=given, assignments=assignments))
    return metrics.read_metrics(Path(small["out"]) / metrics.FILE)


def test_the_server_samples_from_the_weights_of_every_step(small, server):
    lines = run(small, server)
    assert server.loaded == 3
    assert any(line["gradient_norm"] > 0.01 for line in lines[:2])
    assert [line["policy"]["kl_old"] for line in lines] == pytest.approx([0.0] * 3, abs=1e-9)
    assert not (Path(small["out"]) / "serving").exists()


def test_without_pushes_its_answers_grow_stale_and_the_numbers_show_it(small, server):
    lines = run(small, server, "rollouts.push=false")
    assert server.loaded == 0
    assert lines[0]["policy"]["kl_old"] == pytest.approx(0.0, abs=1e-9)
    assert lines[2]["policy"]["kl_old"] > 1e-6


def test_a_server_that_takes_no_weights_stops_the_run(small, server):
    server.status = 404
    with pytest.raises(QoqdataError, match="VLLM_SERVER_DEV_MODE=1"):
        run(small, server)
    assert not (Path(small["out"]) / "serving").exists()
