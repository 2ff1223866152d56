"""The suite that every source keeps, for all that are registered here."""

from qoqdata.suite.checks import *  # noqa: F403
