"""Training: one loop for every stage, stoppable and resumable."""

from genie_lite.training.log import read_log
from genie_lite.training.stages import train_genie, train_tokenizer

__all__ = ["read_log", "train_genie", "train_tokenizer"]
