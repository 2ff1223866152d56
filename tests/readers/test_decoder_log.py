"""What decoders write to standard error is caught; other text passes."""

from __future__ import annotations

import os

import pytest

from qoqdata.readers.decoder_log import decoder_log


def test_other_text_on_standard_error_survives(capfd: pytest.CaptureFixture[str]) -> None:
    with decoder_log() as log:
        os.write(2, b"progress 50 %\n[h264 @ 0x55aa] error while decoding MB 3 4\n")
        os.write(2, b"[ WARN:0@0.055] global cap.cpp:338 open\nanother line\n")
    assert log == ["[h264] error while decoding MB 3 4"]
    assert capfd.readouterr().err == "progress 50 %\nanother line\n"


def test_a_log_within_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    with decoder_log() as outer:
        os.write(2, b"libpng error: one\n")
        with decoder_log() as inner:
            os.write(2, b"libpng error: two\n")
        os.write(2, b"libpng error: three\n")
    with decoder_log() as after:
        os.write(2, b"short\n")
    assert (outer, inner, after) == (
        ["libpng error: one", "libpng error: three"],
        ["libpng error: two"],
        [],
    )
    assert capfd.readouterr().err == "short\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_a_log_of_its_own() -> None:
    with decoder_log():
        pass
    gone, ready = os.pipe()
    with decoder_log() as log:
        if (child := os.fork()) == 0:
            os._exit(0)
        os.waitpid(child, 0)
    if (child := os.fork()) == 0:
        with decoder_log() as own:
            os.write(2, b"libpng error: of the child\n")
        os.write(ready, b"1" if own == ["libpng error: of the child"] else b"0")
        os._exit(0)
    with decoder_log() as log:
        os.waitpid(child, 0)
    assert os.read(gone, 1) == b"1"
    assert log == []
    os.close(gone)
    os.close(ready)
