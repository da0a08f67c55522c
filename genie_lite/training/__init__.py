"""Training: one loop for every stage, stoppable and resumable."""

from genie_lite.training.action_prior import train_action_prior
from genie_lite.training.log import read_log
from genie_lite.training.stages import train_genie, train_tokenizer

__all__ = ["read_log", "train_action_prior", "train_genie", "train_tokenizer"]
