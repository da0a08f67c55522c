"""FVD, the Fréchet video distance on the standard I3D network (Unterthiner et al., 2018; the paper's fidelity).

The network does not ship with genie-lite. The usual file is `i3d_torchscript.pt`, the TorchScript copy of the I3D
trained on Kinetics-400 that StyleGAN-V published and that common_metrics_on_video_quality and others use. TorchScript
can run code: open only a file whose source you trust, and give its SHA-256 where you know it.
"""

from __future__ import annotations

import hashlib
import logging
import os
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genie_lite.evaluation.bootstrap import EvaluationError
from genie_lite.evaluation.frechet import frechet_distance

log = logging.getLogger(__name__)

LEAST_FRAMES = 10  # with fewer, I3D's strides leave nothing to pool over
HOW = "get i3d_torchscript.pt of StyleGAN-V by other means and give its path as the weights (--fvd-weights)"


def frechet_video_distance(
    real: np.ndarray,
    made: np.ndarray,
    *,
    weights: str | Path | I3D,
    sha256: str | None = None,
    cache: str | Path | None = None,
    device: str | torch.device | None = None,
) -> float:
    """FVD of videos `made` from `real` ones, uint8 [B, T, H, W, C]: 2 or more videos, 10 or more frames.

    `weights` is the path or URL of `i3d_torchscript.pt` (see `load_i3d`, also for the other options), or a loaded
    network. Any frame size will do: the network resizes to 224x224. FVD is biased upwards for few videos and depends on
    their length; papers use 2,048 videos of 16 frames, so compare only with numbers for as many videos of that length.
    """
    network = weights if isinstance(weights, I3D) else load_i3d(weights, sha256=sha256, cache=cache, device=device)
    return frechet_distance(network.features(real), network.features(made))


class I3D:
    """The standard network, made by `load_i3d`; `sha256` is that of its file."""

    def __init__(self, module: Any, sha256: str, source: str, device: torch.device) -> None:
        self._module = module
        self.sha256 = sha256
        self.source = source
        self.device = device

    @torch.inference_mode()
    def features(self, videos: np.ndarray, at_once: int = 4) -> np.ndarray:
        """Features float32 [B, D] (D = 400 for the standard file) of videos uint8 [B, T, H, W, 3].

        EvaluationError for other videos, or when the network takes other arguments or returns something else.
        """
        videos = np.asarray(videos)
        if videos.ndim != 5 or videos.dtype != np.uint8 or videos.shape[-1] != 3 or videos.shape[1] < LEAST_FRAMES:
            raise EvaluationError(
                f"videos: found {videos.dtype} {list(videos.shape)}, wanted uint8 [B, T, H, W, 3] of {LEAST_FRAMES} or "
                "more frames, which is what I3D needs; give longer videos"
            )
        parts = []
        for first in range(0, len(videos), at_once):
            batch = torch.from_numpy(videos[first : first + at_once]).to(self.device)
            batch = batch.permute(0, 4, 1, 2, 3).float().contiguous()
            try:
                found = self._module(batch, rescale=True, resize=True, return_features=True)
            except (RuntimeError, TypeError) as error:
                raise EvaluationError(
                    f"{self.source}: the network failed on videos {list(batch.shape)} ({_last_line(error)}); wanted "
                    f"one called as the standard I3D is, with rescale, resize and return_features; {HOW}"
                ) from error
            if not isinstance(found, torch.Tensor) or found.ndim != 2 or len(found) != len(batch):
                shape = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
                raise EvaluationError(f"{self.source}: found features {shape}, wanted [{len(batch)}, D]; {HOW}")
            parts.append(found.float().cpu().numpy())
        return np.concatenate(parts)


def load_i3d(
    weights: str | Path,
    *,
    sha256: str | None = None,
    cache: str | Path | None = None,
    device: str | torch.device | None = None,
) -> I3D:
    """The network in a TorchScript file: a path, or an http(s) URL that is downloaded once into the folder `cache`.

    `cache` is ~/.cache/genie-lite or $GENIE_LITE_CACHE by default, `device` the GPU where there is one. If `sha256` is
    given the file must have it; otherwise the file's own is logged. EvaluationError when the file cannot be had, has
    another SHA-256, or is no TorchScript.
    """
    url = str(weights).startswith(("http://", "https://"))
    wanted = sha256.lower() if sha256 is not None else None
    path = _downloaded(str(weights), _cache(cache), wanted) if url else Path(weights).expanduser()
    if not path.is_file():
        raise EvaluationError(f"{path}: no such file, wanted the weights of I3D; {HOW}")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if wanted is None:
        log.warning("%s: not checked; its SHA-256 is %s (give it as sha256 next time)", path, found)
    elif found != wanted:
        again = f"delete {path} and try again, or {HOW}" if url else HOW
        raise EvaluationError(f"{path}: found SHA-256 {found}, wanted {wanted}: another file; {again}")
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    try:
        module = torch.jit.load(str(path), map_location=place).eval()
    except RuntimeError as error:
        size = path.stat().st_size
        if url:  # a download that was cut short would be in the way of the next
            path.unlink()
        raise EvaluationError(
            f"{weights}: found {size:,} bytes that are no TorchScript ({_last_line(error)}): a damaged file, or a web "
            f"page in its place; {'try again' if url else 'delete it'}, or {HOW}"
        ) from error
    return I3D(module, found, str(path), place)


def _downloaded(url: str, cache: Path, sha256: str | None) -> Path:
    """The file of `url` in the folder `cache`, downloaded if it is not there yet; complete or not there at all."""
    path = cache / f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{Path(url.split('?')[0]).name or 'weights'}"
    if path.is_file():
        return path
    try:
        cache.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(path), hash_prefix=sha256)
    except RuntimeError as error:
        raise EvaluationError(f"{url}: another file, not kept ({error}); {HOW}") from error
    except (OSError, ValueError, HTTPException) as error:  # URLError and time-outs are OSErrors
        reason = getattr(error, "reason", None) or error
        raise EvaluationError(f"{url}: cannot be downloaded ({reason}); without internet, {HOW}") from error
    return path


def _cache(folder: str | Path | None) -> Path:
    return Path(folder or os.environ.get("GENIE_LITE_CACHE") or Path.home() / ".cache" / "genie-lite")


def _last_line(error: BaseException) -> str:
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
