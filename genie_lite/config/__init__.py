"""Settings with their types, limits and defaults; the presets that ship; the stages of training."""

from genie_lite.config.errors import ConfigError
from genie_lite.config.loading import (
    config_from_dict,
    config_to_dict,
    load_config,
    parse_overrides,
    presets,
)
from genie_lite.config.model import (
    CodebookConfig,
    DynamicsConfig,
    LatentActionConfig,
    ModelConfig,
    TokenizerConfig,
    TransformerConfig,
)
from genie_lite.config.schema import Config, DataConfig, PlayConfig, SamplingConfig, StageConfig, TrainingConfig
from genie_lite.config.stages import COURSE_STAGES, PAPER_STAGES, STAGE_BEFORE, STAGES, Stage

__all__ = [
    "COURSE_STAGES",
    "PAPER_STAGES",
    "STAGES",
    "STAGE_BEFORE",
    "CodebookConfig",
    "Config",
    "ConfigError",
    "DataConfig",
    "DynamicsConfig",
    "LatentActionConfig",
    "ModelConfig",
    "PlayConfig",
    "SamplingConfig",
    "Stage",
    "StageConfig",
    "TokenizerConfig",
    "TrainingConfig",
    "TransformerConfig",
    "config_from_dict",
    "config_to_dict",
    "load_config",
    "parse_overrides",
    "presets",
]
