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
