"""What can go wrong with a dataset."""

from __future__ import annotations


class DatasetError(ValueError):
    """A dataset that cannot be read or made: the message names it, what was found, what was wanted, what to do."""


class MissingArrayError(DatasetError):
    """An array that this dataset does not have: videos from elsewhere come without env actions and levels."""
