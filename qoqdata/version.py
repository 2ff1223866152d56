"""The version of qoqdata, which enters fingerprints and manifests."""

from importlib.metadata import version

VERSION = version("qoqdata")
