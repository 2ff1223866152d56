"""Which release of an engine an adapter was tested with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from qoqdata.errors import UsageError


def require_release(package: str, tested: str) -> None:
    """Raise UsageError unless `package` is installed in the release series `tested` ("1.16").

    The adapters override private methods, which may change with every minor release.
    """
    try:
        installed = version(package)
    except PackageNotFoundError as error:
        raise UsageError(
            "is not installed", where=package, fix=f"pip install '{package}=={tested}.*'"
        ) from error
    if installed.split(".")[: tested.count(".") + 1] != tested.split("."):
        raise UsageError(
            f"version {installed} is installed, this adapter was tested with {tested}",
            where=package,
            fix=f"pip install '{package}=={tested}.*'",
        )
