"""The DRPO state in a checkpoint folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from qoqdata.errors import UsageError
from qoqtrain import DRPO
from qoqtrain.adapters.host import FILE, load_state, save_state
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
