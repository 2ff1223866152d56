"""The commands as functions."""

from tests.cli.conftest import qoqdata, salt

__all__ = ["qoqdata", "salt"]
