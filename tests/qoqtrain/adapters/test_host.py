"""The DRPO state in a checkpoint folder, the releases of engines, flat metrics."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from qoqdata.errors import UsageError
from qoqtrain import DRPO
from qoqtrain.adapters import host
from qoqtrain.adapters.host import FILE, load_state, metrics_of, require_release, save_state
from tests.qoqtrain.adapters.small_batch import BATCH, stepped


def test_a_checkpoint_continues_bit_for_bit(tmp_path: Path) -> None:
    drpo = stepped(half_life_questions=3)
    resumed = DRPO.from_stats(None, priors={"ct": 90}, half_life_questions=3)
    save_state(drpo.state_dict(), tmp_path / "new")
    load_state(resumed, tmp_path / "new")
    assert resumed.checksum() == drpo.checksum()
    expected, found = drpo.step(**BATCH), resumed.step(**BATCH)
    assert found.advantages.tolist() == expected.advantages.tolist()
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"version": 1}', b"null"])
def test_a_damaged_state_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    drpo = stepped()
    before = drpo.checksum()
    with pytest.raises(UsageError):
        load_state(drpo, tmp_path)
    assert drpo.checksum() == before


def test_every_cut_of_a_state_is_refused(tmp_path: Path) -> None:
    save_state(stepped().state_dict(), tmp_path)
    whole = (tmp_path / FILE).read_bytes()
    for end in range(0, len(whole) - 2, 7):
        (tmp_path / FILE).write_bytes(whole[:end])
        with pytest.raises(UsageError):
            load_state(stepped(), tmp_path)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no DRPO state"):
        load_state(stepped(), tmp_path)
    save_state(stepped(bins=64).state_dict(), tmp_path)
    with pytest.raises(UsageError, match="bins is 64 there and 128 here"):
        load_state(stepped(), tmp_path)


@pytest.mark.parametrize(
    ("installed", "fits"),
    [("1.16.0", True), ("1.16.3.post1", True), ("1.17.0", False), ("1.1.16", False), ("2", False)],
)
def test_another_release_is_refused(
    monkeypatch: pytest.MonkeyPatch, installed: str, fits: bool
) -> None:
    monkeypatch.setattr(host, "version", lambda _: installed)
    if fits:
        require_release("trl", "1.16")
        return
    with pytest.raises(UsageError, match=f"trl: version {installed} is .* tested with 1.16"):
        require_release("trl", "1.16")


def test_an_absent_engine_is_named() -> None:
    with pytest.raises(UsageError, match=r"no-such-engine: is not installed.*==1\.16\.\*"):
        require_release("no-such-engine", "1.16")


def test_the_package_itself_imports_no_engine() -> None:
    modules = ("adapters.host", "adapters.verl_inputs", "trainer.engine.ranks")
    code = "; ".join(f"import qoqtrain.{name}" for name in modules)
    code += "; import sys; print(sorted({'torch', 'trl', 'verl'} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"


def test_metrics_are_flat_numbers() -> None:
    report = stepped().step(**BATCH).report
    metrics = metrics_of(report)
    assert all(type(value) is float for value in metrics.values())
    assert metrics["drpo/ess"] == report["ess"]
    assert metrics["drpo/n_unseen_domains"] == 1  # fundus has no record count
    assert metrics["drpo/domains/ct/success_rate"] == report["domains"]["ct"]["success_rate"]
    assert metrics["drpo/domains/ct/n_rollouts"] == 4
    shares = [metrics[f"drpo/domains/{domain}/squared_mass"] for domain in ("ct", "fundus")]
    assert sum(shares) == pytest.approx(1.0)
    assert metrics_of({"ess": None, "kl_damping": {"state": "off", "mean": None}}) == {}
