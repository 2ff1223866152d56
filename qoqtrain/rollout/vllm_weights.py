"""New weights for a running vLLM server, from a folder that it can read.

The routes are those of its development mode (`VLLM_SERVER_DEV_MODE=1`): whoever reaches them can
make the server load any folder, so it belongs on a private network.
"""

from __future__ import annotations

from pathlib import Path

from qoqtrain.rollout.vllm_http import post, strange

_FIX = (
    "start it with VLLM_SERVER_DEV_MODE=1 where it sees the run's folder,"
    " or set rollouts.push to false"
)


def load_weights(url: str, folder: Path, *, timeout: float = 600.0) -> None:
    """Have the server at `url` (".../v1") load the weights in `folder`, and forget what it computed
    with the former ones: keys and values of prompts, and encoded images.

    Raises QoqdataError when it does not answer or cannot load them. A release that keeps no
    encoded images has no route to forget them, which is no error.
    """
    root = url.rstrip("/").removesuffix("/v1")
    call = {"method": "reload_weights", "kwargs": {"weights_path": str(folder)}}
    post(f"{root}/collective_rpc", call, timeout=timeout, fix=_FIX)
    _forget(f"{root}/reset_prefix_cache", timeout)
    _forget(f"{root}/reset_encoder_cache", timeout, may_lack=True)


def _forget(target: str, timeout: float, *, may_lack: bool = False) -> None:
    answer = post(target, {}, timeout=timeout, fix=_FIX, may_lack=may_lack)
    if isinstance(answer, dict) and answer.get("success") is False:
        fix = "let nobody else ask the server while it serves a run"
        raise strange(target, "word that it still holds the cache", fix=fix)
