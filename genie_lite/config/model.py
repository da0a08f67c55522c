"""Settings of the three models. Comments on options that depart from the paper say what the paper does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from genie_lite.config.errors import checked, require
from genie_lite.config.fields import CountOrZero, Decay, Fraction, Number, Pair, Size


@checked
@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """An ST-transformer (section 2, figure 4)."""

    num_layers: Size = 4
    d_model: Size = 256  # D, the width of a token
    num_heads: Size = 4
    qk_size: Size | None = None  # width of a query and of a key, per head; null: d_model / num_heads
    v_size: Size | None = None  # width of a value, per head; null: d_model / num_heads
    ffn_ratio: Annotated[float, Field(gt=0, le=1024)] = 2.0  # feed-forward hidden units as a multiple of d_model

    def __post_init__(self) -> None:
        require(
            self.d_model % self.num_heads == 0 or (self.qk_size is not None and self.v_size is not None),
            "num_heads",
            self.num_heads,
            f"a divisor of d_model ({self.d_model}), or both qk_size and v_size given",
        )
        require(
            self.head_width % 2 == 0,
            "qk_size",
            self.head_width,
            "an even number: rotary embeddings of time rotate pairs of columns",
        )
        require(
            round(self.ffn_ratio * self.d_model) >= 1,
            "ffn_ratio",
            self.ffn_ratio,
            f"a ratio that leaves at least one hidden unit at d_model {self.d_model}",
        )

    @property
    def head_width(self) -> int:
        """Columns of one head's queries and keys."""
        return self.qk_size or self.d_model // self.num_heads

    @property
    def value_width(self) -> int:
        """Columns of one head's values."""
        return self.v_size or self.d_model // self.num_heads


@checked
@dataclass(frozen=True, kw_only=True)
class CodebookConfig:
    """The codebook of a vector quantizer (van den Oord et al., 2017; sizes in tables 5, 7, 15, 16)."""

    num_codes: Size = 1024  # K
    latent_dim: Size = 32  # width of a code
    normalize: bool = True  # compare directions only: latents and codes lie on the unit sphere
    update: Literal["ema", "gradient", "fixed"] = "ema"  # how codes follow their latents; fixed: they do not
    decay: Decay = 0.99  # of the moving averages, with update: ema
    commitment: Number = 0.25  # weight of the loss that keeps latents near their codes
    loss_weight: Number = 0.1  # weight of the quantizer's loss beside the model's own, which is small (paper: 1)
    restart_after: CountOrZero = 0  # steps without use after which a code restarts at a random latent; 0: never


@checked
@dataclass(frozen=True, kw_only=True)
class TokenizerConfig:
    """The video tokenizer (figure 6; table 15 for CoinRun). Table 3 compares the three kinds of attention."""

    patch_size: Size = 4  # side of a patch, in pixels
    attention: Literal["st", "space", "full"] = "st"  # ST-ViViT (the paper's choice), ViT, C-ViViT
    codes: Literal["learned", "patches"] = "learned"  # patches: codes are K typical patches (paper: learned)
    encoder: TransformerConfig = field(default_factory=TransformerConfig)
    decoder: TransformerConfig = field(default_factory=TransformerConfig)
    codebook: CodebookConfig = field(default_factory=CodebookConfig)

    def __post_init__(self) -> None:
        book = self.codebook
        require(
            self.codes == "learned" or (book.update == "fixed" and not book.normalize and not book.restart_after),
            "codebook",
            {"update": book.update, "normalize": book.normalize, "restart_after": book.restart_after},
            "{update: fixed, normalize: false, restart_after: 0}: with codes: patches it is fitted before training",
        )


@checked
@dataclass(frozen=True, kw_only=True)
class LatentActionConfig:
    """The latent action model (figure 5; table 16 for CoinRun). Options marked (paper: ...) depart from the paper."""

    patch_size: Size = 16  # side of a patch, in pixels
    encoder: TransformerConfig = field(default_factory=TransformerConfig)
    decoder: TransformerConfig = field(default_factory=TransformerConfig)
    codebook: CodebookConfig = field(default_factory=lambda: CodebookConfig(num_codes=6, restart_after=30))
    difference_input: bool = True  # the encoder also sees x_t - x_(t-1) as extra channels (paper: false)
    residual_output: bool = True  # the decoder predicts a change to the last frame (paper: false, the frame itself)
    inputs: Literal["pixels", "tokens"] = "pixels"  # what the model reads and predicts (table 2; paper: pixels)
    loss: Literal["squared", "relative"] = "squared"  # relative: frames that change more weigh less (paper: squared)
    shift: CountOrZero = 0  # pixels by which the decoder may move the last frame (paper: 0)
    motion_input: bool = False  # with shift: both sides also read how far the scene moved, measured (paper: false)

    def __post_init__(self) -> None:
        require(
            not self.shift or (self.inputs == "pixels" and self.difference_input and self.residual_output),
            "shift",
            self.shift,
            "0, or inputs: pixels, difference_input: true and residual_output: true",
        )
        require(self.shift > 0 or not self.motion_input, "motion_input", self.motion_input, "false, or a shift above 0")


@checked
@dataclass(frozen=True, kw_only=True)
class DynamicsConfig:
    """The dynamics model (figure 7; table 17 for CoinRun). Options marked (paper: ...) depart from the paper."""

    transformer: TransformerConfig = field(default_factory=TransformerConfig)
    mask_rate: Annotated[tuple[Fraction, Fraction], Pair] = (0.5, 1.0)  # range of the rate drawn for each clip
    corruption: Fraction = 0.0  # maximum fraction of tokens replaced by random tokens of the same clip (paper: 0)
    previous_input: bool = False  # add the previous frame's unmasked token embedding at each position (paper: false)
    loss_share: Annotated[float, Field(gt=0, le=1)] = 1.0  # fraction of the masked tokens in the loss (paper: 1)
    past: Literal["masked", "complete"] = "masked"  # past frames in training; complete: as in play (paper: masked)
    first_guess: bool = False  # also read the next frame as the latent action model predicts it (paper: false)
    sharp_guess: bool = False  # a first guess moves the frame by one displacement, not the mean of all (paper: false)
    guess_likeness: bool = False  # with first_guess: tokens that look like the guess are likelier (paper: false)
    merge: Size = 1  # side of the squares of tokens that share a position in the transformer (paper: 1)
    token_start: Literal["random", "codebook"] = "random"  # initial token embeddings (paper: not stated)
    action_input: Literal["added", "prepended"] = "added"  # to all tokens of a frame, or as one before (paper: added)

    def __post_init__(self) -> None:
        low, high = self.mask_rate
        require(
            low <= high and high > 0, "mask_rate", [low, high], "[low, high] with 0 <= low <= high <= 1 and high > 0"
        )
        complete = self.past == "complete"
        require(complete or not self.first_guess, "first_guess", self.first_guess, "false, or past: complete")
        require(
            self.first_guess or not self.guess_likeness,
            "guess_likeness",
            self.guess_likeness,
            "false, or first_guess: true",
        )
        require(not (complete and self.previous_input), "previous_input", self.previous_input, "false, or past: masked")
        require(complete or self.merge == 1, "merge", self.merge, "1, or past: complete")
        require(
            self.action_input == "added" or not (complete or self.previous_input),
            "action_input",
            self.action_input,
            "added, or past: masked and previous_input: false",
        )


@checked
@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The three models together, and the frames they share."""

    frame_size: Annotated[tuple[Size, Size], Pair] = (64, 64)  # H, W
    channels: Size = 3  # C
    context_frames: Annotated[int, Field(ge=2, le=2**20)] = 16  # length of the sliding temporal window
    pad_frames: bool = False  # pad frames at the right and bottom where patches do not tile them
    tokenizer: TokenizerConfig = field(default_factory=TokenizerConfig)
    latent_action: LatentActionConfig = field(default_factory=LatentActionConfig)
    dynamics: DynamicsConfig = field(default_factory=DynamicsConfig)

    def __post_init__(self) -> None:
        for model in ("tokenizer", "latent_action"):
            patch = getattr(self, model).patch_size
            require(
                self.pad_frames or all(side % patch == 0 for side in self.frame_size),
                f"{model}.patch_size",
                patch,
                f"a size that tiles frames of {list(self.frame_size)}, or pad_frames: true",
            )
        pixels = self.tokenizer.patch_size**2 * self.channels
        require(
            self.tokenizer.codes == "learned" or self.tokenizer.codebook.latent_dim == pixels,
            "tokenizer.codebook.latent_dim",
            self.tokenizer.codebook.latent_dim,
            f"{pixels}, the numbers in a patch: with codes: patches the codebook holds patches",
        )
        own, token = self.latent_action.patch_size, self.tokenizer.patch_size
        require(
            self.latent_action.inputs == "pixels" or own % token == 0,
            "latent_action.patch_size",
            own,
            f"a multiple of tokenizer.patch_size ({token}), so that whole tokens make a patch, or inputs: pixels",
        )
        require(
            self.latent_action.shift < min(self.frame_size),
            "latent_action.shift",
            self.latent_action.shift,
            f"less than the sides of frames, {list(self.frame_size)}",
        )
        require(
            not self.dynamics.first_guess or self.latent_action.shift > 0,
            "dynamics.first_guess",
            self.dynamics.first_guess,
            "false, or a latent_action.shift above 0",
        )
        require(
            not self.dynamics.guess_likeness or self.tokenizer.codes == "patches",
            "dynamics.guess_likeness",
            self.dynamics.guess_likeness,
            "false, or tokenizer.codes: patches, which can be compared with pixels",
        )
        grid = self.grid(self.tokenizer.patch_size)
        require(
            all(side % self.dynamics.merge == 0 for side in grid),
            "dynamics.merge",
            self.dynamics.merge,
            f"a number that divides the rows and columns of tokens, {list(grid)}",
        )

    def grid(self, patch_size: int) -> tuple[int, int]:
        """Rows and columns of the patches that cover a frame, the padded ones included."""
        height, width = self.frame_size
        return -(-height // patch_size), -(-width // patch_size)

    @property
    def tokens_per_frame(self) -> int:
        """N."""
        rows, columns = self.grid(self.tokenizer.patch_size)
        return rows * columns
