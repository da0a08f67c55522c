"""What can go wrong with a dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from genie_lite.files import reason


class DatasetError(ValueError):
    """A dataset that cannot be read or made: the message names it, what was found, what was wanted, what to do."""


class MissingArrayError(DatasetError):
    """An array that this dataset does not have: videos from elsewhere come without env actions and levels."""


@contextlib.contextmanager
def looking_at(path: Path) -> Iterator[None]:
    """Raise DatasetError where one cannot even look for files: no permission, a name too long, a null character."""
    try:
        yield
    except DatasetError:
        raise
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: cannot be looked at ({reason(error)}); check its name and permissions") from error
