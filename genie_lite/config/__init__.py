"""Settings: every one of them with its type, default and limits, and the presets that ship."""

from genie_lite.config.schema import (
    CodebookConfig,
    Config,
    DataConfig,
    DynamicsConfig,
    LatentActionConfig,
    ModelConfig,
    SamplingConfig,
    StageConfig,
    TokenizerConfig,
    TrainingConfig,
    TransformerConfig,
    config_from_dict,
    config_to_dict,
    load_config,
    presets,
)
from genie_lite.config.settings import ConfigError

__all__ = [
    "CodebookConfig",
    "Config",
    "ConfigError",
    "DataConfig",
    "DynamicsConfig",
    "LatentActionConfig",
    "ModelConfig",
    "SamplingConfig",
    "StageConfig",
    "TokenizerConfig",
    "TrainingConfig",
    "TransformerConfig",
    "config_from_dict",
    "config_to_dict",
    "load_config",
    "presets",
]
