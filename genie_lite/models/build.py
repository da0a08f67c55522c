"""Which class a config asks for: one function per model. A new variant of a model gets its line here."""

from __future__ import annotations

from genie_lite.config import ModelConfig
from genie_lite.models.complete_past import CompletePastDynamicsModel
from genie_lite.models.dynamics import DynamicsModel
from genie_lite.models.dynamics_variants import ExtendedDynamicsModel
from genie_lite.models.guess_likeness import LikenessDynamicsModel
from genie_lite.models.latent_action import LatentActionModel
from genie_lite.models.latent_action_variants import ExtendedLatentActionModel, TokenLatentActionModel
from genie_lite.models.merged_tokens import MergedTokensDynamicsModel
from genie_lite.models.prepended_actions import PrependedActionsDynamicsModel
from genie_lite.models.shift_latent_action import ShiftLatentActionModel
from genie_lite.models.tokenizer import VideoTokenizer
from genie_lite.models.tokenizer_variants import PatchTokenizer
from genie_lite.nn.table3_blocks import BLOCKS


def build_tokenizer(config: ModelConfig) -> VideoTokenizer:
    """The untrained video tokenizer that `config` describes."""
    kind = PatchTokenizer if config.tokenizer.codes == "patches" else VideoTokenizer
    return kind(config, BLOCKS[config.tokenizer.attention])


def build_latent_action(config: ModelConfig) -> LatentActionModel:
    """The untrained latent action model that `config` describes."""
    settings = config.latent_action
    if settings.inputs == "tokens":
        return TokenLatentActionModel(config)
    if settings.shift:
        return ShiftLatentActionModel(config)
    if settings.difference_input or settings.residual_output or settings.loss == "relative":
        return ExtendedLatentActionModel(config)
    return LatentActionModel(config)


def build_dynamics(config: ModelConfig) -> DynamicsModel:
    """The untrained dynamics model that `config` describes; `token_start` is applied when it is trained."""
    settings = config.dynamics
    if settings.guess_likeness:
        return LikenessDynamicsModel(config)
    if settings.merge > 1:
        return MergedTokensDynamicsModel(config)
    if settings.past == "complete":
        return CompletePastDynamicsModel(config)
    if settings.action_input == "prepended":
        return PrependedActionsDynamicsModel(config)
    if settings.previous_input or settings.corruption or settings.loss_share < 1:
        return ExtendedDynamicsModel(config)
    return DynamicsModel(config)
