"""Figures of a lesson: videos as strips, animations, training curves and tables; images small enough to commit."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genie_lite.course.notes import display, display_again, rounded

WIDTH = 960  # pixels that a row of frames may take
GAP = 4
NOT_METRICS = ("step", "minutes", "lr", "grad_norm")


def use_style() -> None:
    """Set a small, plain style for matplotlib figures; do nothing if matplotlib is missing."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.rcParams.update(
        {
            "figure.dpi": 80, "savefig.dpi": 80, "figure.figsize": (7, 3.2), "font.size": 10, "axes.grid": True,
            "grid.alpha": 0.3, "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 11,
            "figure.constrained_layout.use": True, "legend.frameon": False,
        }
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------- videos as strips


def show_video(
    frames: np.ndarray, title: str = "", labels: Sequence[Any] | None = None, *, scale: int | None = None
) -> None:
    """Show a video, uint8 [T, H, W, C], as a strip of frames; `labels` has one text per frame."""
    _show_picture(video_picture([frames], [""], title=title, columns=labels, scale=scale), title or "a video")


def show_videos(
    rows: Iterable[np.ndarray],
    labels: Sequence[str] | None = None,
    *,
    title: str = "",
    columns: Sequence[Any] | None = None,
    scale: int | None = None,
) -> None:
    """Show videos, each uint8 [T, H, W, C], one strip below the other; `labels` names rows, `columns` frames."""
    rows = list(rows)
    picture = video_picture(rows, labels or [""] * len(rows), title=title, columns=columns, scale=scale)
    _show_picture(picture, title or f"{len(rows)} videos")


def video_picture(
    rows: Sequence[np.ndarray],
    labels: Sequence[str] | None = None,
    *,
    title: str = "",
    columns: Sequence[Any] | None = None,
    scale: int | None = None,
) -> Image.Image:
    """Videos as one image on white: one row per video, frames enlarged by whole numbers where there is room."""
    from matplotlib import font_manager

    rows = [_frames(row) for row in rows]
    labels = list(labels or [""] * len(rows))
    if len(labels) != len(rows):
        raise ValueError(f"labels: found {len(labels)}, expected one for each of {len(rows)} videos")
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size=12)  # ships with matplotlib, and has arrows
    length, (height, width) = max(len(row) for row in rows), rows[0].shape[1:3]
    margin = max((int(font.getlength(line)) + 10 for label in labels for line in label.split("\n") if line), default=0)
    scale = scale or max(1, min(4, (WIDTH - margin) // (length * (width + GAP))))
    height, width = height * scale, width * scale
    top = (20 if title else 0) + (18 if columns else 0)
    wide = max(margin + length * (width + GAP), int(font.getlength(title)) + 8)
    picture = Image.new("RGB", (wide, top + len(rows) * (height + GAP)), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((margin, 2), title, fill="#24292f", font=font)
    for t, text in enumerate(columns or []):
        middle = margin + t * (width + GAP) + width / 2
        draw.text((middle, top - 9), str(text), fill="#57606a", font=font, anchor="mm")
    for y, (row, label) in enumerate(zip(rows, labels, strict=True)):
        above = top + y * (height + GAP)
        draw.multiline_text(
            (margin - 8, above + height / 2), label, fill="#24292f", font=font, anchor="rm", align="right"
        )
        for t, frame in enumerate(row):
            picture.paste(
                _image(frame).resize((width, height), Image.Resampling.NEAREST), (margin + t * (width + GAP), above)
            )
    return picture


# --------------------------------------------------------------------------------------------------- animations


def animate(
    frames: np.ndarray | Sequence[np.ndarray], *, fps: float = 6, scale: int = 3, labels: Sequence[str] | None = None
) -> None:
    """Show a looping animation of one video, uint8 [T, H, W, C], or of several side by side, with `labels` above."""
    videos = [frames] if isinstance(frames, np.ndarray) and frames.ndim == 4 else list(frames)
    data = animation(videos, fps=fps, scale=scale, labels=labels)
    _show_bytes(data, f"<{len(videos)} animated video{'s' * (len(videos) > 1)} of {len(videos[0])} frames>")


def animation(
    videos: Sequence[np.ndarray], *, fps: float = 6, scale: int = 3, labels: Sequence[str] | None = None
) -> bytes:
    """Videos side by side as an animated PNG, which works wherever a notebook shows a PNG."""
    videos = [_frames(video) for video in videos]
    length = max(len(video) for video in videos)
    pictures = []
    for t in range(length):
        now = np.stack([video[min(t, len(video) - 1)] for video in videos])
        pictures.append(video_picture([now], columns=labels, scale=scale))
    some = np.concatenate([np.asarray(picture) for picture in pictures[:: max(1, length // 6)]])
    palette = Image.fromarray(some).quantize(128)
    pictures = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer, "PNG", save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0, optimize=True
    )
    return buffer.getvalue()


# ----------------------------------------------------------------------------------------------------- training


def plot_log(
    run_dir: str | Path, keys: Sequence[str] | None = None, *, expected: dict[str, tuple[float, float]] | None = None
) -> None:
    """Plot the log of a training stage against its steps, one panel for each of `keys` (default: every metric).

    `expected` shades the range in which a metric ends at preset laptop: {"psnr": (28, 31)}.
    """
    import matplotlib.pyplot as plt

    from genie_lite.training import read_log

    log = read_log(run_dir)
    if not log:
        raise ValueError(f"{Path(run_dir).name}: found no log.csv there, expected the folder of a training run")
    names = list(keys or [key for key in log if key not in NOT_METRICS])
    missing = [name for name in names if name not in log]
    if missing:
        raise ValueError(f"keys: found {missing}, expected some of {list(log)}")
    figure, axes = plt.subplots(1, len(names), figsize=(3.4 * len(names), 2.6), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        axis.plot(log["step"], log[name], color="#0969da")
        axis.set(title=name.replace("_", " "), xlabel="step")
        if name in (expected or {}):
            axis.axhspan(*(expected or {})[name], color="#1a7f37", alpha=0.12)
    show_figure(figure)


class LiveCurve:
    """A curve that grows while a cell runs: `add` a value a step, and every `every` steps the picture is renewed."""

    def __init__(self, label: str, *, every: int = 10) -> None:
        self.values: list[float] = []
        self._label, self._every = label, every
        self._shown: Any = None

    def add(self, value: float) -> None:
        """Append the value of the next step."""
        self.values.append(float(value))
        if len(self.values) % self._every == 0:
            self._draw()

    def _draw(self) -> None:
        import matplotlib.pyplot as plt

        figure, axis = plt.subplots(figsize=(5, 2.4))
        axis.plot(range(1, len(self.values) + 1), self.values, color="#0969da")
        axis.set(xlabel="step", ylabel=self._label)
        png = base64.b64encode(_as_png(figure)).decode()
        self._shown = display_again({"text/plain": "<a curve>", "image/png": png}, self._shown)


def show_samples(run_dir: str | Path, count: int = 3) -> None:
    """Show `count` sample pictures of a training stage, from first to last: real videos above the model's."""
    files = sorted((Path(run_dir) / "samples").glob("step-*.png"))
    if not files:
        raise ValueError(f"{Path(run_dir).name}: found no samples there, expected the folder of a training run")
    chosen = [files[i] for i in sorted({round(i) for i in np.linspace(0, len(files) - 1, max(count, 1))})]
    rows = [np.asarray(Image.open(file).convert("RGB"))[None] for file in chosen]
    names = [f"step {int(re.findall(r'[0-9]+', file.stem)[0])}" for file in chosen]
    _show_picture(video_picture(rows, names, scale=1), f"samples of {', '.join(names)}")


def show_table(rows: Iterable[Sequence[Any]], columns: Sequence[str]) -> None:
    """Show rows as a table; floats as `rounded` writes them."""
    texts = [[rounded(cell) if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)] + [f"| {' | '.join(row)} |" for row in texts]
    display({"text/plain": "\n".join(lines), "text/markdown": "\n".join(lines)})


def show_figure(figure: Any) -> None:
    """Show a matplotlib figure as an image and close it."""
    _show_bytes(_as_png(figure), "<a figure>")


def _as_png(figure: Any) -> bytes:
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80, facecolor="white")
    plt.close(figure)
    return small_png(Image.open(buffer))


def small_png(picture: Image.Image) -> bytes:
    """A still picture as PNG bytes in 256 colours, which is a third of the size; one that has no more stays as it is.

    Of Pillow's palettes this one strays least from the picture: 24 levels of 255 at most in the pictures of the course.
    """
    palette = picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    palette.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _show_picture(picture: Image.Image, what: str) -> None:
    _show_bytes(small_png(picture), f"<picture: {what}>")


def _show_bytes(png: bytes, what: str) -> None:
    display({"text/plain": what, "image/png": base64.b64encode(png).decode()})


def _frames(video: np.ndarray) -> np.ndarray:
    video = np.asarray(video)
    if video.ndim != 4 or video.dtype != np.uint8 or len(video) == 0 or video.shape[-1] not in (1, 3):
        raise ValueError(f"video: found {video.dtype} {list(video.shape)}, expected uint8 [T, H, W, C] with C 1 or 3")
    return video


def _image(frame: np.ndarray) -> Image.Image:
    return Image.fromarray(np.ascontiguousarray(frame[..., 0] if frame.shape[-1] == 1 else frame)).convert("RGB")
