"""Every setting of genie-lite. A preset is one YAML file of differences from these defaults.

The type of a field states which values it takes; a group with any other value cannot be made (ConfigError).

Shapes everywhere in the package use one legend::

    B clips · T frames · H W pixels · C channels · N tokens per frame · D width · K codes · A latent actions
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from genie_lite.config.errors import checked, require
from genie_lite.config.fields import Count, CountOrZero, Decay, Fraction, Number, Pair, Positive, Seed, Size
from genie_lite.config.model import ModelConfig


@checked
@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """How videos of a game are collected (appendix F.1); the defaults are the course's simplified CoinRun."""

    game: Literal["coinrun", "ninja", "climber", "jumper", "robot"] = "coinrun"  # of procgen; robot: a simulated arm
    distribution_mode: Literal["easy", "hard"] = "easy"  # procgen's difficulty
    backgrounds: bool = False  # paint backgrounds behind the level
    restrict_themes: bool = True  # give the ground and the hero one look in every level
    policy: Literal["sticky", "uniform", "walker", "expert", "pusher"] = "sticky"  # data/policies.py; pusher: robot's
    sticky_probability: Fraction = 0.5  # of repeating the last env action (sticky) or the last direction (walker)
    right_bias: Fraction = 0.3  # extra probability of moving right, so that videos travel through their levels
    action_repeat: Count = 4  # game steps per env action; one frame is stored per env action
    num_envs: Size = 16  # games played side by side
    frames_per_level: CountOrZero = 0  # frames taken from a level before the next one; 0: one episode per level
    train_levels: Annotated[tuple[CountOrZero, CountOrZero], Pair] = (0, 10_000)  # first level seed, number of levels
    test_levels: Annotated[tuple[CountOrZero, CountOrZero], Pair] = (1_000_000, 1_000)  # disjoint from train_levels
    train_frames: Count = 100_000  # frames collected for training
    test_frames: Count = 10_000  # frames collected for evaluation
    seed: Seed = 0  # of the policy and of the order of levels

    def __post_init__(self) -> None:
        wanted = "pusher with game: robot, and another with procgen's games"
        require((self.policy == "pusher") == (self.game == "robot"), "policy", self.policy, wanted)
        for name in ("train_levels", "test_levels"):
            first, count = getattr(self, name)
            require(
                count >= 1,
                name,
                [first, count],
                "[first level >= 0, number of levels >= 1]; "
                "procgen reads 0 levels as *all* levels, which would mix training and test",
            )
            require(first + count < 2**31, name, [first, count], "level seeds below 2^31")
        a, n = self.train_levels
        b, m = self.test_levels
        require(a + n <= b or b + m <= a, "test_levels", [b, m], f"levels disjoint from train_levels {[a, n]}")


# -------------------------------------------------------------------------------------------- the training


@checked
@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One training stage (tables 8 and 9 give the paper's optimiser)."""

    steps: Count = 1_000  # optimiser steps
    time_budget_minutes: Positive | None = None  # the schedule ends here if this comes first; null: no limit
    clips: Size = 16  # clips per step
    micro_batch: Size | None = None  # clips in memory at once, their gradients added up over a step; null: all
    frames: Annotated[int, Field(ge=2, le=2**20)] = 16  # frames per clip
    encoded_clips: CountOrZero = 0  # dynamics: clips encoded once, before training; 0: clips are encoded every step
    own_past: Fraction = 0.0  # dynamics: share of the encoded clips whose past the world itself makes (paper: 0)
    own_past_frames: Count = 8  # with own_past: most frames in a row that are its own, before a true one
    frame_stride: Size = 1  # stored frames from one frame of a clip to the next
    mirrored: Fraction = 0.0  # share of the clips that are shown mirrored, left for right (paper: 0)
    optimizer: Literal["muon", "adamw"] = "muon"  # muon: for the matrices of the blocks, adamw for the rest
    muon_lr: Positive = 0.02  # peak learning rate of Muon
    max_lr: Positive = 3e-4  # peak learning rate of AdamW
    min_lr: Number = 3e-5  # learning rate of AdamW at the end of the schedule; Muon's falls by the same factor
    beta1: Decay = 0.9  # of AdamW
    beta2: Decay = 0.9  # of AdamW
    weight_decay: Number = 1e-4
    warmup_steps: CountOrZero = 50  # steps until the learning rate reaches its peak
    grad_clip: Number = 1.0  # norm to which gradients are clipped; 0: no clipping
    precision: Literal["auto", "float32", "bfloat16"] = "auto"  # auto: bfloat16 where the machine has it natively
    compile: bool = False  # torch.compile the transformers: a minute of warm-up, for runs on a GPU
    seed: Seed = 0  # of the initial weights and of everything drawn in training
    log_every: Count = 10  # steps between rows of log.csv
    sample_every: CountOrZero = 100  # steps between sample pictures; 0: none
    checkpoint_every_minutes: Number = 2.0  # minutes between saved training states

    def __post_init__(self) -> None:
        require(self.min_lr <= self.max_lr, "min_lr", self.min_lr, f"max_lr ({self.max_lr}) or less")
        require(not self.own_past or self.encoded_clips > 0, "own_past", self.own_past, "0, or encoded_clips above 0")


@checked
@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The paper's two phases, `tokenizer` then `genie` (latent action model and dynamics model together).

    The course splits the second into its two halves, which the stop-gradient between them allows.
    """

    tokenizer: StageConfig = field(default_factory=StageConfig)
    genie: StageConfig = field(default_factory=StageConfig)
    latent_action: StageConfig = field(default_factory=StageConfig)
    dynamics: StageConfig = field(default_factory=StageConfig)


@checked
@dataclass(frozen=True, kw_only=True)
class SamplingConfig:
    """How MaskGIT decodes a frame (section 3, table 17)."""

    maskgit_steps: Count = 25  # passes per frame
    temperature: Number = 1.0  # of the softmax over the codes; 0: greedy
    min_p: Fraction = 0.0  # codes less likely than this share of the likeliest one are never drawn (paper: 0)
    schedule: Literal["cosine", "linear"] = "cosine"  # how the number of masked tokens falls from step to step
    ordering: Literal["random", "confidence"] = "random"  # which tokens are kept first


@checked
@dataclass(frozen=True, kw_only=True)
class PlayConfig:
    """How keys become latent actions, in a world that foresees what each would do (not in the paper)."""

    vertical: Number = 64.0  # pixels that an action a key takes may fall or rise otherwise than the likeliest one
    least_odds: Fraction = 0.01  # a key takes no action that is less plausible than this share of the likeliest one
    least_odds_airborne: Fraction = 0.003  # the same in the air, where a new key at first moves him by a pixel
    least_odds_in_vain: Fraction = 0.003  # the same in the air after three presses that did not
    least_odds_running: Fraction = 0.1  # the same for a key to the side where the hero is going already
    least_odds_stopped: Fraction = 1.0  # the same for a key to the side where something has stopped the hero


@checked
@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that makes a world: the preset's name, data, models, training, sampling and play."""

    name: str = "default"  # of the preset
    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    play: PlayConfig = field(default_factory=PlayConfig)

    def __post_init__(self) -> None:
        own_past = self.training.dynamics.own_past
        require(
            not own_past or self.model.dynamics.past == "complete",
            "training.dynamics.own_past",
            own_past,
            "0, or model.dynamics.past: complete",
        )
