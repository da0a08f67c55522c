"""FVD, the Fréchet video distance on the standard I3D network (Unterthiner et al., 2018; the paper's fidelity).

The network is not shipped. Its usual file is `i3d_torchscript.pt`, the TorchScript copy of the I3D trained on
Kinetics-400 that StyleGAN-V published and that common_metrics_on_video_quality and others use. TorchScript can run
code: only open a file whose source you trust, and give its SHA-256 where you know it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from genie_lite.evaluation.bootstrap import EvaluationError
from genie_lite.evaluation.psnr_ssim import frechet_distance

log = logging.getLogger(__name__)

LEAST_FRAMES = 10  # fewer leave nothing to pool over after I3D has shortened the video
PIECE = 1 << 20  # bytes
HOW = "save i3d_torchscript.pt of StyleGAN-V by another way, and give its path as the weights (--fvd-weights)"


def frechet_video_distance(
    real: np.ndarray,
    made: np.ndarray,
    *,
    weights: str | Path | I3D,
    sha256: str | None = None,
    cache: str | Path | None = None,
) -> float:
    """FVD of videos `made` from `real` ones, uint8 [B, T, H, W, C]: 2 or more videos, 10 or more frames.

    `weights` is the path or URL of `i3d_torchscript.pt` (see `load_i3d`), or what `load_i3d` gave. Any frame size
    will do: the network resizes to 224x224. FVD leans upwards for few videos and changes with their length; papers use
    2,048 videos of 16 frames, so compare only with numbers of as many and as long ones.
    """
    network = weights if isinstance(weights, I3D) else load_i3d(weights, sha256=sha256, cache=cache)
    return frechet_distance(network.features(real), network.features(made))


class I3D:
    """The standard network: `features` of videos. Made by `load_i3d`; `sha256` is that of its file."""

    def __init__(self, module: Any, sha256: str, source: str) -> None:
        self._module = module
        self.sha256 = sha256
        self.source = source

    @torch.inference_mode()
    def features(self, videos: np.ndarray, at_once: int = 4) -> np.ndarray:
        """Features float32 [B, D] (D = 400 for the standard file) of videos uint8 [B, T, H, W, 3].

        EvaluationError for other videos, or when the file holds a network that is called or answers in another way.
        """
        videos = np.asarray(videos)
        if videos.ndim != 5 or videos.dtype != np.uint8 or videos.shape[-1] != 3 or videos.shape[1] < LEAST_FRAMES:
            raise EvaluationError(
                f"videos: found {videos.dtype} {list(videos.shape)}, wanted uint8 [B, T, H, W, 3] of {LEAST_FRAMES} or "
                "more frames, which is what I3D needs; give longer videos"
            )
        parts = []
        for first in range(0, len(videos), at_once):
            batch = torch.from_numpy(videos[first : first + at_once]).permute(0, 4, 1, 2, 3).float().contiguous()
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
            parts.append(found.float().numpy())
        return np.concatenate(parts)


def load_i3d(weights: str | Path, *, sha256: str | None = None, cache: str | Path | None = None) -> I3D:
    """The network in a TorchScript file: a path, or an http(s) URL that is downloaded once into the folder `cache`.

    `cache` is ~/.cache/genie-lite or $GENIE_LITE_CACHE unless given. The file's SHA-256 must be `sha256` where that is
    given, and is logged where it is not. EvaluationError when the file cannot be had, is another, or is no TorchScript.
    """
    url = str(weights).startswith(("http://", "https://"))
    path = _downloaded(str(weights), _cache(cache), sha256) if url else Path(weights).expanduser()
    if not path.is_file():
        raise EvaluationError(f"{path}: no such file, wanted the weights of I3D; {HOW}")
    found = _sha256(path)
    if sha256 is None:
        log.warning("%s: not checked; its SHA-256 is %s (give it as sha256 next time)", path, found)
    elif found != sha256.lower():
        again = f"delete {path} and try again, or {HOW}" if url else HOW
        raise EvaluationError(f"{path}: found SHA-256 {found}, wanted {sha256.lower()}: another file; {again}")
    try:
        module = torch.jit.load(str(path), map_location="cpu").eval()
    except RuntimeError as error:
        raise EvaluationError(
            f"{path}: found {path.stat().st_size:,} bytes that are no TorchScript ({_last_line(error)}): a damaged "
            f"file, or a web page in its place; delete it and {HOW}"
        ) from error
    return I3D(module, found, str(path))


def _downloaded(url: str, cache: Path, sha256: str | None) -> Path:
    """The file of `url` in the folder `cache`, fetched where it is not there yet; whole or not there at all."""
    name = f"{hashlib.sha256(url.encode()).hexdigest()[:8]}-{Path(url.split('?')[0]).name or 'weights'}"
    path = cache / name
    if path.is_file():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{name}.{os.getpid()}.part")
    try:
        with urllib.request.urlopen(url, timeout=30) as answer, draft.open("wb") as file:
            wanted = int(answer.headers.get("Content-Length") or 0)
            with tqdm(total=wanted or None, desc=path.name, unit="B", unit_scale=True) as bar:
                while piece := answer.read(PIECE):
                    file.write(piece)
                    bar.update(len(piece))
        found = draft.stat().st_size
        if found != (wanted or found):
            raise EvaluationError(f"{url}: found {found:,} bytes, wanted {wanted:,}: cut short; try again, or {HOW}")
        if sha256 is not None and _sha256(draft) != sha256.lower():
            raise EvaluationError(
                f"{url}: found SHA-256 {_sha256(draft)}, wanted {sha256.lower()}: another file, not kept; {HOW}"
            )
        os.replace(draft, path)
    except (OSError, HTTPException) as error:  # URLError and time-outs are OSErrors
        reason = getattr(error, "reason", None) or error
        raise EvaluationError(f"{url}: cannot be downloaded ({reason}); without internet, {HOW}") from error
    finally:
        draft.unlink(missing_ok=True)
    return path


def _cache(folder: str | Path | None) -> Path:
    return Path(folder or os.environ.get("GENIE_LITE_CACHE") or Path.home() / ".cache" / "genie-lite")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _last_line(error: BaseException) -> str:
    return ([line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__])[-1]
