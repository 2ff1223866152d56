"""Ids are HMACs anyone can recompute; the salt is made once, kept private and never shown."""

from __future__ import annotations

import hashlib
import hmac
import os
import pickle
import stat
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qoqdata.errors import UsageError
from qoqdata.records.identity import (
    PUBLIC_SALT,
    Salt,
    default_salt_path,
    keyed,
    load_salt,
    record_id,
)

SALT = Salt(bytes(range(32)))


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def by_hand(secret: bytes, *parts: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) over parts that each follow their length in 4 bytes, big end first."""
    message = b"".join(struct.pack(">I", len(part)) + part for part in parts)
    return hmac.digest(secret, message, "sha256").hex()


def test_public_ids_are_those_of_the_formula() -> None:
    expected = by_hand(b"qoqdata/1/public", b"record", b"ptb_xl", b"00001", b"diagnosis")[:32]
    assert record_id("ptb_xl", "00001", "diagnosis", salt=None) == expected


def test_public_ids_never_change() -> None:
    """Vectors written down: other people's files hold these ids."""
    assert PUBLIC_SALT == b"qoqdata/1/public"
    assert (
        record_id("ptb_xl", "00001", "diagnosis", salt=None) == "a40545773623d6dcebcd67a7f9fddbad"
    )
    assert (
        record_id("ham10000", "ISIC_0024306", "diagnosis", salt=None)
        == "c8e4b41e61f1e0dff49cfc6bc538b351"
    )
    assert keyed("patient", "ptb_xl", "15709", salt=SALT) == "3b1b76fe38f6e3fe689d7978a50ac579"


def test_private_ids_and_keys_use_the_secret() -> None:
    secret = SALT.secret
    expected = by_hand(secret, b"record", b"films", "Müller/1".encode(), b"diagnosis")[:32]
    assert record_id("films", "Müller/1", "diagnosis", salt=SALT) == expected
    assert (
        keyed("patient", "films", "P1", salt=SALT)
        == by_hand(secret, b"patient", b"films", b"P1")[:32]
    )


@pytest.mark.parametrize("length", [16, 63, 64, 65, 200])
def test_secrets_of_any_length(length: int) -> None:
    """Beyond the block of the hash a secret counts by its hash."""
    secret = bytes(range(length))
    expected = by_hand(secret, b"patient", b"films", b"P1")[:32]
    assert keyed("patient", "films", "P1", salt=Salt(secret)) == expected


def test_rfc_4231_vector_of_the_hash_itself() -> None:
    """RFC 4231, test case 2: guards the reference that this file compares with."""
    found = hmac.new(b"Jefe", b"what do ya want for nothing?", hashlib.sha256).hexdigest()
    assert found == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"


@given(st.text(min_size=1), st.text(), st.text())
def test_moving_a_letter_between_parts_gives_another_id(source: str, study: str, task: str) -> None:
    moved = record_id(source[:-1], source[-1] + study, task, salt=None)
    assert moved != record_id(source, study, task, salt=None)


@given(
    st.lists(st.text(max_size=3), min_size=3, max_size=3),
    st.lists(st.text(max_size=3), min_size=3, max_size=3),
)
def test_ids_are_equal_only_for_equal_parts(first: list[str], second: list[str]) -> None:
    a, b = (record_id(*parts, salt=None) for parts in (first, second))
    assert (a == b) == (first == second)


def test_kinds_and_namespaces_keep_keys_apart() -> None:
    made = {
        keyed(kind, namespace, "1", salt=salt)
        for kind in ("patient", "study", "path")
        for namespace in ("a", "b")
        for salt in (SALT, Salt(b"x" * 32))
    }
    assert len(made) == 12
    assert all(len(key) == 32 and set(key) <= set("0123456789abcdef") for key in made)


def test_the_fingerprint_tells_salts_apart_and_hides_them() -> None:
    assert SALT.fingerprint == by_hand(SALT.secret, b"salt fingerprint")[:16]
    assert SALT.fingerprint != Salt(b"x" * 32).fingerprint
    assert SALT.fingerprint not in SALT.secret.hex()


def test_the_secret_does_not_show() -> None:
    secret = Salt(b"the very secret of this hospital")
    for shown in (repr(secret), str(secret), f"{secret}", repr({"salt": secret})):
        assert "secret" not in shown and "hospital" not in shown
    assert pickle.loads(pickle.dumps(secret)) == secret


def test_a_salt_is_made_at_first_use_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "salt"
    made = load_salt(path)
    assert len(made.secret) == 32
    assert path.read_text() == made.secret.hex() + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_salt(path) == made
    assert names(path.parent) == ["salt"]


def test_a_salt_is_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        load_salt(tmp_path / "salt")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "salt").stat().st_mode) == 0o600


def test_two_sites_get_two_salts(tmp_path: Path) -> None:
    assert load_salt(tmp_path / "a") != load_salt(tmp_path / "b")


def test_processes_that_race_agree(tmp_path: Path) -> None:
    """All wait for the start signal, then ask for the salt at once."""
    code = (
        "import sys, time, pathlib; from qoqdata.records.identity import load_salt\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "print(load_salt(pathlib.Path(sys.argv[1])).secret.hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "salt")]
    racers = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    for racer in racers:
        assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("\n")
        racer.stdin.flush()
    secrets = {racer.communicate(timeout=300)[0].strip() for racer in racers}
    assert len(secrets) == 1
    assert secrets == {(tmp_path / "salt").read_text().strip()}
    assert names(tmp_path) == ["salt"]


def test_who_comes_second_takes_the_file_of_who_came_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process writes between the look and the creation."""
    path, real = tmp_path / "salt", os.link

    def link(source: str | Path, target: str | Path) -> None:
        path.write_text("ab" * 32 + "\n")
        real(source, target)

    monkeypatch.setattr(os, "link", link)
    assert load_salt(path).secret == b"\xab" * 32
    assert names(tmp_path) == ["salt"]


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"ab" * 15, b"abc" * 21, b"not hexadecimal at all, but long enough", b"\xff" * 64],
    ids=["empty", "blank", "15 bytes", "odd", "text", "binary"],
)
def test_what_is_no_salt_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "salt"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="is not a salt") as raised:
        load_salt(path)
    assert str(path) in str(raised.value)
    assert path.read_bytes() == content


def test_a_missing_salt_may_be_forbidden(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no salt file"):
        load_salt(tmp_path / "salt", create=False)
    assert names(tmp_path) == []


def test_a_folder_and_an_impossible_place_are_user_errors(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("ab" * 32)
    for path in (tmp_path, tmp_path / "file" / "salt"):
        with pytest.raises(UsageError, match="cannot be used as a salt file"):
            load_salt(path)


def test_where_the_salt_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QOQDATA_SALT_FILE", str(tmp_path / "mine"))
    assert default_salt_path() == tmp_path / "mine"
    assert load_salt() == load_salt(tmp_path / "mine")
    monkeypatch.delenv("QOQDATA_SALT_FILE")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert default_salt_path() == tmp_path / "config" / "qoqdata" / "salt"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_salt_path() == tmp_path / ".config" / "qoqdata" / "salt"
