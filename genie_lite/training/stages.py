"""The stages (section 2.1): the tokenizer first, then the latent action model and the dynamics model together.

No stage reads true game actions: each asks its dataset for frames and nothing else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from genie_lite import storage
from genie_lite.api import Genie
from genie_lite.config import COURSE_STAGES, Config, StageConfig, config_to_dict
from genie_lite.data import FrameDataset
from genie_lite.interrupts import interrupts_postponed
from genie_lite.models import PatchTokenizer
from genie_lite.training import distributed
from genie_lite.training.checkpoint import newest_state
from genie_lite.training.encoded import EncodedVideos
from genie_lite.training.loop import fit
from genie_lite.training.losses import (
    PARTS,
    Losses,
    dynamics_losses,
    genie_losses,
    tokenizer_losses,
)
from genie_lite.training.run_settings import fingerprint
from genie_lite.training.starting import fit_patches, loaded, start_from, with_fresh_parts

SAMPLE_FRAMES = 8  # of each video in a sample picture


def train_tokenizer(
    config: Config,
    dataset: FrameDataset,
    run_dir: str | Path,
    *,
    start: Genie | str | Path | None = None,
    prepare: Callable[[nn.Module], None] | None = None,
    device: str | None = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> Genie:
    """Train a video tokenizer on clips of `dataset`: a Genie whose other two models are still untrained.

    `start` is a Genie, or its checkpoint folder, whose tokenizer to begin with instead of random weights. `prepare` is
    called with the untrained tokenizer, and may replace methods or modules of it that hold the same weights.

    `run_dir` receives checkpoint/ (the Genie), log.csv, samples/ (pictures: videos above, reconstructions below) and
    state/ (for resuming). Called again with the same folder, training continues where it stopped. Under torchrun,
    processes train together (training.distributed); each returns the whole Genie.

    Raises what `training.loop.fit` raises, FolderInUseError when another program trains into `run_dir`, UnwritableError
    (an OSError) when it holds links or the disk is full, and ValueError when `start` does not fit.
    """
    distributed.join()
    run_dir, stage = Path(run_dir), config.training.tokenizer
    torch.manual_seed(stage.seed)
    genie = Genie(config)
    if start is not None:
        start_from(genie, start, ["tokenizer"])
    elif isinstance(genie.tokenizer, PatchTokenizer) and newest_state(run_dir / "state") is None:
        fit_patches(genie.tokenizer, dataset, stage.seed)
    if prepare is not None:
        prepare(genie.tokenizer)

    def losses(frames: Tensor) -> Losses:
        return tokenizer_losses(genie.tokenizer, frames)

    def sample(genie: Genie, frames: np.ndarray) -> np.ndarray:
        return genie.decode(genie.encode(frames))

    return _train(
        genie, ["tokenizer"], losses, sample, dataset, stage, run_dir,
        trained=["tokenizer"], device=device, progress=progress, tensorboard=tensorboard,
    )  # fmt: skip


def train_genie(
    config: Config,
    dataset: FrameDataset,
    run_dir: str | Path,
    *,
    tokenizer: Genie | str | Path,
    parts: Sequence[str] = PARTS,
    start: Genie | str | Path | None = None,
    prepare: Callable[[nn.Module], None] | None = None,
    device: str | None = None,
    progress: bool = True,
    tensorboard: bool = False,
) -> Genie:
    """Train the latent action model and the dynamics model on top of a trained tokenizer: the whole Genie.

    `tokenizer` is a Genie, or its checkpoint folder, that has one; its settings win for what is not trained here.
    parts ("latent_action",) trains that model alone, ("dynamics",) the dynamics model with the latent actions of the
    given Genie: no gradient flows between the two, so the paper's joint phase may be taken in halves. `start` is a
    Genie, or its checkpoint folder, whose models to begin with instead of random weights: for videos of another game,
    or for more latent actions than it had (VectorQuantizer.start_from). With `own_past` in the settings the dynamics
    model needs one: these weights also make the frames that it learns to go on from.

    `prepare`, which is called with each of `parts`, `run_dir`, processes and errors are as for `train_tokenizer`.
    """
    if not parts or set(parts) - set(PARTS):
        raise ValueError(f"parts: found {list(parts)}, wanted one or both of {list(PARTS)}")
    distributed.join()
    run_dir, joint = Path(run_dir), len(set(parts)) == 2
    stage = config.training.genie if joint else getattr(config.training, parts[0])
    if stage.own_past and list(parts) == ["dynamics"] and start is None:
        raise ValueError(
            f"start: found None, wanted a trained world: training.dynamics.own_past is {stage.own_past}, and an "
            "untrained model makes no frames to learn from; train without own_past first, then go on from that world"
        )
    base = loaded(tokenizer)
    torch.manual_seed(stage.seed)
    genie = with_fresh_parts(config, base, parts)
    if start is not None:
        start_from(genie, start, parts)
    if prepare is not None:
        for part in parts:
            prepare(getattr(genie, part))

    def losses(frames: Tensor) -> Losses:
        return genie_losses(genie, frames, parts)

    def sample(genie: Genie, frames: np.ndarray) -> np.ndarray:
        if "dynamics" not in parts:
            return np.concatenate([frames[:, :1], genie.predict_next(frames)], axis=1)
        future = genie.generate(frames[:, :1], genie.infer_actions(frames), maskgit_steps=8)
        return np.concatenate([frames[:, :1], future], axis=1)

    return _train(
        genie, parts, losses, sample, dataset, stage, run_dir,
        trained=[*base.card.get("trained", ["tokenizer"]), *parts],
        device=device, progress=progress, tensorboard=tensorboard,
    )  # fmt: skip


def _train(
    genie: Genie,
    parts: Sequence[str],
    losses: Callable[[Tensor], Losses],
    sample: Callable[[Genie, np.ndarray], np.ndarray],
    dataset: FrameDataset,
    stage: StageConfig,
    run_dir: Path,
    *,
    trained: list[str],
    device: str | None,
    progress: bool,
    tensorboard: bool,
) -> Genie:
    """What the stages share: train `parts` of `genie` in a run folder, and save it."""
    where = distributed.device(device)
    for name, module in genie.named_children():
        if distributed.count() == 1 or name not in parts:  # what will be sharded moves there block by block
            module.to(where)
    model = nn.ModuleDict({part: getattr(genie, part) for part in parts})

    def on_sample(step: int) -> None:
        whole = _whole(genie, where)
        if whole is not None:
            _write_sample(run_dir / "samples" / f"step-{step:07d}.png", dataset, lambda frames: sample(whole, frames))

    with _run_folder(run_dir), distributed.telling_who_ended(run_dir / "state"):
        encoded = None
        if stage.encoded_clips and list(parts) == ["dynamics"]:
            encoded = _encoded(genie, dataset, stage, run_dir, progress)
        fit(
            model,
            losses if encoded is None else lambda numbers: dynamics_losses(genie, encoded[numbers]),
            dataset, stage, run_dir, title=" + ".join(parts).replace("_", " "), device=where,
            choices=0 if encoded is None else len(encoded), settings=_settings(genie, parts),
            on_sample=on_sample, progress=progress, tensorboard=tensorboard,
        )  # fmt: skip
        whole = _whole(genie, where)
        if whole is not None:
            whole.requires_grad_(True).eval()
            whole.card["trained"] = sorted(set(trained))
            with interrupts_postponed():
                whole.save(run_dir / "checkpoint")
        distributed.wait()
        return genie if distributed.count() == 1 else Genie.load(run_dir / "checkpoint", where)


def _encoded(genie: Genie, dataset: FrameDataset, stage: StageConfig, run_dir: Path, progress: bool) -> EncodedVideos:
    """Clips that the first process encodes for all. A file that no state goes with may be of other settings."""
    file = run_dir / "encoded.safetensors"
    genie.eval()
    if distributed.rank() == 0:
        if newest_state(run_dir / "state") is None:
            file.unlink(missing_ok=True)
        home = next(genie.dynamics.parameters()).device
        if stage.own_past:  # it makes frames, and may be elsewhere, waiting to be sharded
            genie.dynamics.to(genie.device)
        EncodedVideos(genie, dataset, stage, file, progress=progress)
        genie.dynamics.to(home)
    distributed.wait()
    return EncodedVideos(genie, dataset, stage, file, progress=progress)


def _settings(genie: Genie, parts: Sequence[str]) -> dict[str, Any]:
    """What a run depends on besides its stage's settings: model sizes, and the weights that it builds on."""
    model = config_to_dict(genie.config.model)
    last = max(COURSE_STAGES.index(part) for part in parts)
    frozen = [part for part in COURSE_STAGES[:last] if part not in parts]
    sizes = {name: value for name, value in model.items() if name not in COURSE_STAGES or name in parts}
    return {"model": sizes, "base": {part: fingerprint(getattr(genie, part)) for part in frozen}}


def _whole(genie: Genie, device: torch.device) -> Genie | None:
    """`genie` itself; where it is sharded, an unsharded copy on the first process and None on the others."""
    if distributed.count() == 1:
        return genie
    weights = distributed.full_state_dict(genie)
    if distributed.rank():
        return None
    whole = Genie(genie.config)
    whole.action_prior_network = genie.action_prior_network
    whole.load_state_dict(weights)
    return whole.to(device)


def _write_sample(path: Path, dataset: FrameDataset, make: Callable[[np.ndarray], np.ndarray]) -> None:
    """A picture of progress: two videos of the dataset above what a model makes of them."""
    length = min(SAMPLE_FRAMES, int(dataset.episode_lengths.max()))
    starts = dataset.clip_starts(length)
    frames = dataset.read_clips(starts[[0, len(starts) // 2]], length)
    rows = [row for pair in zip(frames, make(frames), strict=True) for row in pair]
    strip = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    with storage.whole_file(path) as file:
        Image.fromarray(strip).save(file, format="PNG")


@contextlib.contextmanager
def _run_folder(run_dir: Path) -> Iterator[None]:
    """Keep other programs from training into a folder, and training from writing anywhere else.

    UnwritableError for a link in it, CheckpointError where its checkpoint could not be replaced in the end.
    """
    if distributed.rank():
        yield
        return
    with storage.sole_writer(run_dir):
        for path in run_dir.iterdir():
            if path.is_symlink():
                raise storage.UnwritableError(path, "it is a link, and training writes into its run folder alone")
        storage.require_replaceable(run_dir / "checkpoint")
        yield
