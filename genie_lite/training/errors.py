"""What can go wrong in training."""

from __future__ import annotations


class TrainingError(ValueError):
    """A training run that cannot continue: the message says at which step, what is left of it, and what to do."""
