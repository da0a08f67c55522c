"""The learner's cloning loss, in the policy, and lists of true actions, in the mapping (notebook 10)."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from genie_lite.agents import CodeLists, PolicyNetwork
from genie_lite.course.yours import Answer, part, replace_method


@part("10.1")
def cloning_loss(model: PolicyNetwork, answer: Answer) -> None:
    """The policy is trained by `answer(logits, targets)`."""

    def loss(self: PolicyNetwork, logits: Tensor, targets: Tensor) -> Tensor:
        found: Tensor = answer(logits, targets)
        return found

    replace_method(model, "loss", loss)


@part("10.2")
def shares_by_code(model: CodeLists, answer: Answer) -> None:
    """The lists are those of `answer(codes, env_actions, num_codes, num_env_actions)`."""
    model.shares = np.asarray(answer(*model.samples, *model.shares.shape))
