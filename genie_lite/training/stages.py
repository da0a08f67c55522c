"""The stages (section 2.1): the tokenizer first; then the latent action model and the dynamics model together.

No stage reads true game actions: each asks its dataset for frames and nothing else.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from genie_lite import storage
from genie_lite.api import Genie
from genie_lite.config import COURSE_STAGES, STAGES, Config
from genie_lite.data import FrameDataset
from genie_lite.models import LatentActionModel, PatchTokenizer, VideoTokenizer
from genie_lite.models.complete_past import CompletePastDynamicsModel
from genie_lite.models.dynamics_variants import start_from_codes
from genie_lite.nn import perplexity, processes
from genie_lite.training.encoded import EncodedClips, EncodedVideos, encode_clips
from genie_lite.training.loop import Losses, fit

logger = logging.getLogger(__name__)

PARTS = STAGES["genie"]
PRIOR_WEIGHT = 0.1  # of the action prior's loss: it must not shape what the dynamics model knows of pictures
PATCHES_PER_CODE = 80  # that k-means sees, where codes are patches


def train_tokenizer(
    config: Config,
    dataset: FrameDataset,
    run_dir: str | Path,
    *,
    start: Genie | str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> Genie:
    """Train a video tokenizer on clips of `dataset`; a Genie whose other two models are still untrained.

    `start` is a Genie (or its checkpoint folder) whose tokenizer to begin with, in place of random weights.

    `run_dir` receives checkpoint/ (the Genie), log.csv, samples/ (pictures: videos above, reconstructions below) and
    state/ (for resuming). Calling again with the same folder goes on where the run stopped.
    """
    processes.join()
    run_dir, device = Path(run_dir), _device(device)
    torch.manual_seed(config.training.tokenizer.seed)
    genie = Genie(config).to(device)
    tokenizer = genie.tokenizer
    if start is not None:
        _start_from(genie, start, ["tokenizer"])
    elif isinstance(tokenizer, PatchTokenizer) and not (run_dir / "state").exists():
        _fit_patches(tokenizer, dataset, config.training.tokenizer.seed)

    def losses(frames: Tensor) -> Losses:
        return tokenizer_losses(tokenizer, frames)

    def sample(frames: np.ndarray) -> np.ndarray:
        return genie.decode(genie.encode(frames))

    with _writing(run_dir):
        fit(
            tokenizer, losses, dataset, config.training.tokenizer, run_dir, title="tokenizer",
            on_sample=_sampler(dataset, run_dir, sample), progress=progress, tensorboard=tensorboard,
        )  # fmt: skip
        return _finish(genie, run_dir, trained=["tokenizer"])


def train_genie(
    config: Config,
    dataset: FrameDataset,
    run_dir: str | Path,
    *,
    tokenizer: Genie | str | Path,
    parts: Sequence[str] = PARTS,
    start: Genie | str | Path | None = None,
    device: str | None = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> Genie:
    """Train the latent action model and the dynamics model on top of a trained tokenizer; the whole Genie.

    `tokenizer` is a Genie (or its checkpoint folder) that has one; its settings for what is not trained here win.
    parts ("latent_action",) trains that model alone, ("dynamics",) the dynamics model with the latent actions of
    the given Genie: no gradient flows between the two, so the paper's joint phase may be taken in halves. `start` is
    a Genie (or its checkpoint folder) whose models to begin with, in place of random weights: for videos of another
    game, or more latent actions than it had (VectorQuantizer.start_from).
    """
    if not parts or set(parts) - set(PARTS):
        raise ValueError(f"parts: found {list(parts)}, wanted one or both of {list(PARTS)}")
    processes.join()
    run_dir, device = Path(run_dir), _device(device)
    joint = len(set(parts)) == 2
    stage = config.training.genie if joint else getattr(config.training, parts[0])
    base = _loaded(tokenizer)
    torch.manual_seed(stage.seed)
    genie = _with_fresh_parts(config, base, parts).to(device)
    if start is not None:
        _start_from(genie, start, parts)
    model = nn.ModuleDict({part: getattr(genie, part) for part in parts})
    videos: EncodedVideos | None = None
    if stage.encoded_clips and not joint and "dynamics" in parts:
        genie.eval()
        videos = EncodedVideos(genie, dataset, stage, run_dir / "encoded.safetensors", progress=progress)

    def losses(batch: Tensor) -> Losses:
        return genie_losses(genie, batch, parts) if videos is None else dynamics_losses(genie, videos[batch])

    def sample(frames: np.ndarray) -> np.ndarray:
        if "dynamics" not in parts:
            return np.concatenate([frames[:, :1], genie.predict_next(frames)], axis=1)
        future = genie.generate(frames[:, :1], genie.infer_actions(frames), maskgit_steps=8)
        return np.concatenate([frames[:, :1], future], axis=1)

    with _writing(run_dir):
        fit(
            model, losses, dataset, stage, run_dir, title=" + ".join(parts).replace("_", " "),
            choices=0 if videos is None else len(videos),
            on_sample=_sampler(dataset, run_dir, sample), progress=progress, tensorboard=tensorboard,
        )  # fmt: skip
        return _finish(genie, run_dir, trained=[*base.card.get("trained", ["tokenizer"]), *parts])


def _fit_patches(tokenizer: PatchTokenizer, dataset: FrameDataset, seed: int) -> None:
    """Fit the codebook to patches of frames drawn from the whole dataset, PATCHES_PER_CODE for each code."""
    count = min(dataset.num_frames, -(-PATCHES_PER_CODE * tokenizer.quantizer.num_codes // tokenizer.patches.count))
    starts = np.random.default_rng(seed).choice(dataset.clip_starts(1), count, replace=False)
    frames = (
        torch.from_numpy(dataset.read_clips(np.sort(starts), 1)).to(tokenizer.decoder_positions.device).float() / 255
    )
    logger.info("tokenizer: looking for %d typical patches in %d frames", tokenizer.quantizer.num_codes, count)
    tokenizer.fit_patches(frames, torch.Generator().manual_seed(seed))


def tokenizer_losses(model: VideoTokenizer, frames: Tensor) -> Losses:
    """One step's numbers: the loss; PSNR in dB; the effective number of codes in use."""
    output = model(frames)
    psnr = -10 * output.reconstruction_loss.detach().log10()
    return {"loss": output.loss, "psnr": psnr, "codes_in_use": _effective(model.quantizer.usage)}


def genie_losses(genie: Genie, frames: Tensor, parts: Sequence[str] = PARTS) -> Losses:
    """One step's numbers of the second phase: the sum of the losses of `parts`, and what each logs."""
    result: Losses = {"loss": torch.zeros((), device=frames.device)}
    genie.tokenizer.eval()
    if "latent_action" in parts:
        result |= latent_action_losses(genie.latent_action, genie.latent_action_inputs(frames))
    if "dynamics" in parts:
        found = dynamics_losses(genie, encode_clips(genie, frames))  # no gradient to the latent actions
        result |= found | {"loss": result["loss"] + found["loss"]}
    return result


def dynamics_losses(genie: Genie, clips: EncodedClips) -> Losses:
    """One step's numbers: the loss; the cross-entropy of masked tokens; that of the next action, if it is learned."""
    model, vectors = genie.dynamics, genie.latent_action.quantizer.lookup(clips.latent_actions)
    if not isinstance(model, CompletePastDynamicsModel):
        loss = model(clips.tokens, vectors).loss
        return {"loss": loss, "cross_entropy": loss.detach()}
    output, prior = model.losses(clips.tokens, vectors, guesses=clips.guesses)
    surprise = F.nll_loss(prior.flatten(0, 1), clips.latent_actions.flatten())
    loss = output.loss + PRIOR_WEIGHT * surprise
    return {"loss": loss, "cross_entropy": output.loss.detach(), "prior_cross_entropy": surprise.detach()}


def latent_action_losses(model: LatentActionModel, frames: Tensor) -> Losses:
    """One step's numbers: the loss; dB gained over copying the last frame; the effective number of actions in use.

    `frames` are what the model sees (Genie.latent_action_inputs).
    """
    output = model(frames)
    copying = (frames[:, 1:] - frames[:, :-1]).square().mean()
    gain = 10 * (copying / output.prediction_loss.detach()).log10()
    return {"loss": output.loss, "gain_db": gain, "actions_in_use": _effective(model.quantizer.usage)}


def _effective(usage: Tensor) -> Tensor:
    return perplexity(usage / usage.sum())


def _with_fresh_parts(config: Config, base: Genie, parts: Sequence[str]) -> Genie:
    """A Genie with `base`'s weights and settings, but `parts` new from `config`."""
    kept = {name: getattr(base.config.model, name) for name in COURSE_STAGES if name not in parts}
    shared = {name: getattr(base.config.model, name) for name in ("frame_size", "channels")}
    genie = Genie(replace(config, model=replace(config.model, **kept, **shared)))
    genie.tokenizer.load_state_dict(base.tokenizer.state_dict())
    if "latent_action" not in parts:
        genie.latent_action.load_state_dict(base.latent_action.state_dict())
        genie.action_prior_network = base.action_prior_network
    if "dynamics" in parts and config.model.dynamics.token_start == "codebook":
        codes = genie.tokenizer.quantizer.lookup(torch.arange(genie.dynamics.num_tokens))
        start_from_codes(genie.dynamics, codes)
    if "dynamics" not in parts and genie.config.model.latent_action == base.config.model.latent_action:
        genie.dynamics.load_state_dict(base.dynamics.state_dict())
    for part in COURSE_STAGES:
        if part not in parts:
            getattr(genie, part).requires_grad_(False)
    return genie


def _start_from(genie: Genie, start: Genie | str | Path, parts: Sequence[str]) -> None:
    """Give `parts` of `genie` the weights of another. ValueError names the part that is not built alike."""
    other = _loaded(start)
    for part in parts:
        model, donor = getattr(genie, part), getattr(other, part)
        weights = donor.state_dict()
        if part == "latent_action" and donor.quantizer.num_codes < model.quantizer.num_codes:
            model.quantizer.start_from(donor.quantizer)
            weights |= model.quantizer.state_dict(prefix="quantizer.")
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            what = str(error).splitlines()[-1].strip()
            raise ValueError(
                f"start: its {part} is not built like this one ({what}); give both the same preset"
            ) from error


def _loaded(genie: Genie | str | Path) -> Genie:
    return genie if isinstance(genie, Genie) else Genie.load(genie)


def _sampler(dataset: FrameDataset, run_dir: Path, make: Callable[[np.ndarray], np.ndarray]) -> Callable[[int], None]:
    """Pictures of progress: two videos of the dataset above what the model makes of them, to samples/step-N.png."""
    length = 8
    starts = dataset.clip_starts(length)
    frames = dataset.read_clips(starts[[0, len(starts) // 2]], length)
    folder = run_dir / "samples"

    def write(step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        rows = [row for pair in zip(frames, make(frames), strict=True) for row in pair]
        strip = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
        Image.fromarray(strip).save(folder / f"step-{step:07d}.png")

    return write


def _writing(run_dir: Path) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext() if processes.rank() else storage.sole_writer(run_dir)


def _finish(genie: Genie, run_dir: Path, trained: list[str]) -> Genie:
    genie.requires_grad_(True).eval()
    genie.card["trained"] = sorted(set(trained))
    if processes.rank() == 0:
        genie.save(run_dir / "checkpoint")
    processes.wait()
    return genie


def _device(name: str | None) -> str:
    return name or (f"cuda:{processes.local_rank()}" if torch.cuda.is_available() else "cpu")
