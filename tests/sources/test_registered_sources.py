"""The suite that every source keeps, for all that are registered here."""

from qoqdata.sources.suite import *  # noqa: F403
