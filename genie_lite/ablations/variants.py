"""The variants of each study: which settings differ while everything else is held equal."""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import nn

from genie_lite.config import Config, ConfigError, TransformerConfig
from genie_lite.models import build_latent_action, build_tokenizer

Study = Literal["tokenizer", "latent-action", "past", "actions", "codes", "temperature"]
# Variants of each study by the value of their setting. The first two studies have the paper's names and order.
VARIANTS: dict[str, dict[str, str]] = {
    "tokenizer": {"space": "ViT", "full": "C-ViViT", "st": "ST-ViViT"},
    "latent-action": {"tokens": "token-input", "pixels": "pixel-input"},
    "past": {"masked": "masked past", "complete": "complete past"},
    "actions": {"prepended": "prepended actions", "added": "added actions"},
    "codes": {"4": "4 latent actions", "8": "8 latent actions", "16": "16 latent actions"},
    "temperature": {"0.3": "temperature 0.3", "0.7": "temperature 0.7", "1.0": "temperature 1.0"},
}
# The models that each study trains, in order. The others are the base world's, the same for all variants.
TRAINED: dict[str, tuple[str, ...]] = {
    "tokenizer": ("tokenizer", "dynamics"),
    "latent-action": ("latent_action", "dynamics"),
    "past": ("dynamics",),
    "actions": ("dynamics",),
    "codes": ("latent_action", "dynamics"),
    "temperature": (),
}


def variant_config(config: Config, study: str, variant: str, seed: int | None = None) -> Config:
    """`config` changed to one variant of a study, with `seed` in every stage (None: unchanged).

    Tokenizers with one attention per block get wider feed-forward layers, so that all variants have equally many
    parameters. What only one variant of a study allows is switched off in all of them: `shift` in "latent-action",
    `first_guess` in "past" and "actions". Variants of "actions" have the paper's masked past. ConfigError for an
    unknown study or variant.
    """
    if study not in VARIANTS or variant not in VARIANTS.get(study, {}):
        known = "; ".join(f"{name}: {', '.join(kinds)}" for name, kinds in VARIANTS.items())
        raise ConfigError(f"study, variant: found {study!r}, {variant!r}, wanted one of {known}")
    model, training, sampling = config.model, config.training, config.sampling
    dynamics = model.dynamics
    if study == "tokenizer":
        changes: dict[str, object] = {"attention": variant}
        if model.tokenizer.attention != "st":
            raise ConfigError(
                f"model.tokenizer.attention: found {model.tokenizer.attention!r}, wanted 'st', from which the "
                "variants of equal parameters are made"
            )
        if variant != "st":
            for part in ("encoder", "decoder"):
                settings = getattr(model.tokenizer, part)
                changes[part] = dataclasses.replace(settings, ffn_ratio=equal_ffn_ratio(settings))
        model = dataclasses.replace(model, tokenizer=dataclasses.replace(model.tokenizer, **changes))  # type: ignore[arg-type]
    elif study == "latent-action":
        part_config = dataclasses.replace(model.latent_action, inputs=variant, shift=0, motion_input=False)  # type: ignore[arg-type]
        dynamics = dataclasses.replace(dynamics, first_guess=False)
        model = dataclasses.replace(model, latent_action=part_config, dynamics=dynamics)
    elif study == "codes":
        codebook = dataclasses.replace(model.latent_action.codebook, num_codes=int(variant))
        part_config = dataclasses.replace(model.latent_action, codebook=codebook)
        model = dataclasses.replace(model, latent_action=part_config)
    elif study == "temperature":
        sampling = dataclasses.replace(sampling, temperature=float(variant))
    else:
        setting = {"past": variant} if study == "past" else {"past": "masked", "action_input": variant}
        plain = {"first_guess": False, "previous_input": False, "merge": 1, "action_input": "added"}
        dynamics = dataclasses.replace(dynamics, **(plain | setting))  # type: ignore[arg-type]
        model = dataclasses.replace(model, dynamics=dynamics)
    if seed is not None:
        names = [field.name for field in dataclasses.fields(training)]
        stages = {name: dataclasses.replace(getattr(training, name), seed=seed) for name in names}
        training = dataclasses.replace(training, **stages)
    return dataclasses.replace(config, model=model, training=training, sampling=sampling)


def equal_ffn_ratio(settings: TransformerConfig) -> float:
    """The ffn_ratio that gives a block with one attention as many parameters as an ST block with two.

    An attention has heads · (2 qk_size + v_size) · D input weights and heads · v_size · D output weights; a
    feed-forward layer has 2 · ffn_ratio · D².
    """
    attention = 2 * settings.num_heads * (settings.head_width + settings.value_width) * settings.d_model
    return settings.ffn_ratio + attention / (2 * settings.d_model**2)


def count_parameters(config: Config) -> dict[str, int]:
    """Parameters of the tokenizer and of the latent action model, counted without allocating them."""
    with torch.device("meta"):
        models = {"tokenizer": build_tokenizer(config.model), "latent_action": build_latent_action(config.model)}
    return {name: count(model) for name, model in models.items()}


def count(model: nn.Module) -> int:
    """Parameters of a model, including codebooks that learn by running means."""
    return sum(parameter.numel() for parameter in model.parameters())
