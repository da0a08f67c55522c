"""Things to look through with `course.explore`: a codebook, the latent actions of a video, a rollout."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFont

RED, INK, DIM, BLUE, FAINT = "#cf222e", "#24292f", "#57606a", "#0969da", "#d0d7de"
GAP = 8
CODEBOOK = 512  # pixels of the picture of a codebook, in either direction
ENLARGED, BETWEEN = 3, 40  # screen pixels per pixel of the two large frames, and between them
USE, USES = 32, 12  # pixels of a patch among the uses of a code, and how many are shown
TOP = 22  # pixels of the line of words above


class CodebookView:
    """A codebook beside videos in which one can see where a code is used and what its patch decodes to.

    tokens int64 [B, T, N]; videos and decoded uint8 [B, T, H, W, C], the frames that were encoded and what the tokens
    decode to; patch_size in pixels; num_codes is K. `draw` and `click` are for `course.explore`, with arguments code,
    video and frame, which is counted from 1. The picture of a code is the mean of all patches that it decoded to; one
    that is never used is white.
    """

    def __init__(
        self, tokens: np.ndarray, videos: np.ndarray, decoded: np.ndarray, *, patch_size: int, num_codes: int
    ) -> None:
        self.tokens, self.videos, self.decoded, self.p = tokens, videos, decoded, patch_size
        self.counts = np.bincount(tokens.ravel(), minlength=num_codes)
        rows, columns = (-(-side // patch_size) for side in videos.shape[2:4])
        self.columns = columns
        if rows * columns != tokens.shape[2]:
            raise ValueError(f"tokens: found {tokens.shape[2]} per frame, expected {rows} x {columns} patches")
        patches = self._cut(decoded)
        sums = np.zeros((num_codes, *patches.shape[1:]))
        np.add.at(sums, tokens.ravel(), patches)
        self.faces = (sums / np.maximum(self.counts, 1)[:, None, None, None]).round().astype(np.uint8)
        self.faces[self.counts == 0] = 255
        self.side = int(np.ceil(np.sqrt(num_codes)))  # codes in a row of the picture
        self.cell = max(CODEBOOK // self.side, 4)
        self.book = Image.new("RGB", (self.side * self.cell, -(-num_codes // self.side) * self.cell), "white")
        for code, face in enumerate(self.faces):
            place = (code % self.side * self.cell, code // self.side * self.cell)
            self.book.paste(_enlarged(face, self.cell - 1, self.cell - 1), place)
        self.left = self.book.width + 2 * GAP  # where the videos begin
        self.font = _font()

    def most(self, code: int, videos: int) -> tuple[int, int]:
        """Which of the first `videos`, and which frame of it, use the code most."""
        uses = (self.tokens[:videos] == code).sum(axis=2)
        video, frame = np.unravel_index(int(uses.argmax()), uses.shape)
        return int(video), int(frame) + 1

    def draw(self, code: int, video: int, frame: int) -> Image.Image:
        """The codebook, the frame with the patches of this code outlined, and some of the code's uses anywhere."""
        frames, (height, width) = self.videos.shape[1], self.videos.shape[2:4]
        strip = 2 * ENLARGED * width + BETWEEN
        per_row = max(1, (strip + GAP) // (width + GAP))
        below = TOP + ENLARGED * height + 24
        uses = below + -(-frames // per_row) * (height + GAP) + 18
        size = (self.left + strip, max(TOP + self.book.height, uses + 2 * USE + 8))
        picture = Image.new("RGB", size, "white")
        picture.paste(self.book, (0, TOP))
        pen = ImageDraw.Draw(picture)
        share = self.counts[code] / self.counts.sum()
        self._say(pen, 0, 3, f"codebook: code {code} is {share:.2%} of all tokens, {self.counts[code]} places")
        x, y = code % self.side * self.cell, TOP + code // self.side * self.cell
        pen.rectangle((x - 2, y - 2, x + self.cell, y + self.cell), outline=RED, width=3)
        for column, (name, shown) in enumerate((("real", self.videos), ("decoded", self.decoded))):
            x = self.left + column * (ENLARGED * width + BETWEEN)
            self._say(pen, x, 3, f"{name}, frame {frame}")
            picture.paste(_enlarged(shown[video, frame - 1], ENLARGED * width, ENLARGED * height), (x, TOP))
            self._outline(pen, x, TOP, video, frame - 1, code, ENLARGED)
        self._say(pen, self.left, below - 18, "the whole video, decoded")
        for t in range(frames):
            x, y = self.left + t % per_row * (width + GAP), below + t // per_row * (height + GAP)
            picture.paste(Image.fromarray(self.decoded[video, t]), (x, y))
            self._outline(pen, x, y, video, t, code, 1)
            if t == frame - 1:
                pen.line((x, y + height + 3, x + width, y + height + 3), fill=INK, width=3)
        self._uses(picture, pen, code, uses)
        return _few_colours(picture)

    def click(self, x: float, y: float, code: int, video: int, frame: int) -> dict[str, int]:
        """A click on a code chooses it; a click on a patch of either large frame chooses the code of its token."""
        height, width = self.videos.shape[2:4]
        if 0 <= x < self.book.width and TOP <= y < TOP + self.book.height:
            found = int((y - TOP) // self.cell) * self.side + int(x // self.cell)
            return {"code": found} if found < len(self.counts) else {}
        across, down = (x - self.left) % (ENLARGED * width + BETWEEN) / ENLARGED, (y - TOP) / ENLARGED
        if x < self.left or across >= width or not 0 <= down < height:
            return {}
        place = int(down // self.p) * self.columns + int(across // self.p)
        return {"code": int(self.tokens[video, frame - 1, place])}

    def _uses(self, picture: Image.Image, pen: ImageDraw.ImageDraw, code: int, top: int) -> None:
        """A few places where the code is used: the real patch, and what it was decoded to."""
        places = np.flatnonzero(self.tokens.ravel() == code)
        places = places[np.linspace(0, len(places) - 1, min(USES, len(places))).astype(int)]
        self._say(pen, self.left, top - 18, "some of its places anywhere: real above, decoded below")
        per_frame = self.tokens.shape[2]
        for column, place in enumerate(places):
            video, rest = divmod(int(place), per_frame * self.tokens.shape[1])
            frame, where = divmod(rest, per_frame)
            row, at = (self.p * part for part in divmod(where, self.columns))
            for line, shown in enumerate((self.videos, self.decoded)):
                patch = shown[video, frame, row : row + self.p, at : at + self.p]
                picture.paste(_enlarged(patch, USE, USE), (self.left + (USE + 3) * column, top + line * (USE + 3)))

    def _outline(self, pen: ImageDraw.ImageDraw, x: int, y: int, video: int, frame: int, code: int, scale: int) -> None:
        for place in np.flatnonzero(self.tokens[video, frame] == code):
            row, column = divmod(int(place), self.columns)
            left, top, side = x + column * self.p * scale, y + row * self.p * scale, self.p * scale
            pen.rectangle((left, top, left + side - 1, top + side - 1), outline=RED, width=1 + scale // 2)

    def _cut(self, videos: np.ndarray) -> np.ndarray:
        """Patches uint8 [B·T·N, p, p, C] of videos; frames that patches do not tile are padded by their edge."""
        down, right = (-side % self.p for side in videos.shape[2:4])
        padded = np.pad(videos, ((0, 0), (0, 0), (0, down), (0, right), (0, 0)), mode="edge")
        clips, frames, height, width, channels = padded.shape
        p = self.p
        cut = padded.reshape(clips, frames, height // p, p, width // p, p, channels).swapaxes(3, 4)
        return cut.reshape(-1, p, p, channels)

    def _say(self, pen: ImageDraw.ImageDraw, x: int, y: int, words: str) -> None:
        pen.text((x, y), words, fill=DIM, font=self.font)


class ActionView:
    """A video step by step, and how far the latent of each step is from every code.

    videos uint8 [B, T, H, W, C]; codes int64 [B, T-1], the latent actions; distances float [B, T-1, A], from each
    latent to each code; keys [B, T-1], the true keys in words, which are shown and otherwise not used.
    `draw` is for `course.explore`, with arguments video and frame, counted from 1: the step leads from it to the next.
    """

    def __init__(self, videos: np.ndarray, codes: np.ndarray, distances: np.ndarray, keys: np.ndarray) -> None:
        self.videos, self.codes, self.distances, self.keys = videos, codes, distances, keys

    def draw(self, video: int, frame: int) -> Any:
        """Two frames, the bars of the codes, and all frames of the video with the code that leads to each."""
        import matplotlib.pyplot as plt

        frames, far = self.videos[video], self.distances[video, frame - 1]
        code = int(self.codes[video, frame - 1])
        figure = plt.figure(figsize=(9.6, 4.6), layout="constrained")
        parts: Any = figure.subfigures(2, 1, height_ratios=(3, 1.25))
        above, below = parts
        before, after, bars = above.subplots(1, 3, width_ratios=(1, 1, 1.5))
        for axis, t in ((before, frame), (after, frame + 1)):
            axis.imshow(frames[t - 1])
            axis.set(title=f"frame {t}")
            axis.axis("off")
        bars.bar(range(len(far)), far, color=[f"C{k}" if k == code else FAINT for k in range(len(far))])
        bars.set(title=f"nearest: latent action {code}", xlabel="code", xticks=range(len(far)))
        bars.set(ylabel="distance from the latent", ylim=(0, 1.05 * float(self.distances[video].max())))
        above.suptitle(f"true key, for you alone: {self.keys[video, frame - 1]}", fontsize=11, color=DIM)
        for t, axis in enumerate(below.subplots(1, len(frames)), start=1):
            axis.imshow(frames[t - 1])
            axis.set(xticks=[], yticks=[])
            for side in axis.spines.values():
                side.set(visible=t in (frame, frame + 1), color=RED, linewidth=3)
            if t > 1:
                chosen, now = int(self.codes[video, t - 2]), t == frame + 1
                axis.set_title(chosen, color=f"C{chosen}", fontsize=12, weight="bold" if now else "normal")
        return figure


class RolloutView:
    """A rollout beside the real game, frame by frame.

    real uint8 [B, T+1, H, W, C], of which frame 0 is the prompt; made has, for each way of acting, the T frames
    [B, T, H, W, C] that were generated from it. `draw` is for `course.explore`, with arguments actions (a key of
    `made`), video and frame, from 1 to T.
    """

    def __init__(self, real: np.ndarray, made: dict[str, np.ndarray]) -> None:
        from genie_lite.evaluation import psnr

        self.real, self.made = real, made
        self.decibels = {name: psnr(real[:, 1:], frames) for name, frames in made.items()}
        self.highest = max(float(values.max()) for values in self.decibels.values())

    def draw(self, actions: str, video: int, frame: int) -> Any:
        """The game above, the world below, their difference, and PSNR up to this frame."""
        import matplotlib.pyplot as plt

        game, world = self.real[video, frame], self.made[actions][video, frame - 1]
        difference = np.abs(world.astype(int) - game).astype(np.uint8)
        figure = plt.figure(figsize=(9.6, 5), layout="constrained")
        parts: Any = figure.subfigures(1, 2, width_ratios=(1, 1.2))
        pictures, curve = parts
        (above, start), (below, beside) = pictures.subplots(2, 2)
        for axis, pixels, name in (
            (above, game, f"game, t = {frame}"),
            (start, self.real[video, 0], "prompt"),
            (below, world, f"world, {actions}"),
            (beside, difference, "difference"),
        ):
            axis.imshow(pixels)
            axis.set_title(name, fontsize=10)
            axis.axis("off")
        axis = curve.subplots()
        for name, values in self.decibels.items():
            colour = BLUE if name == actions else "#afb8c1"
            axis.plot(range(1, frame + 1), values[video, :frame], "o-", color=colour, markersize=4, label=name)
        now = self.decibels[actions][video, frame - 1]
        axis.set(xlim=(0.5, self.real.shape[1] - 0.5), ylim=(0, self.highest + 2), xlabel="t, generated frames")
        axis.set(ylabel="PSNR, dB", title=f"so far; at t = {frame}: {now:.1f} dB")
        axis.legend(fontsize=9, loc="upper right")
        return figure


def _few_colours(picture: Image.Image) -> Image.Image:
    """The picture in 128 colours, small enough to commit, among them those of its words and outlines."""
    kept = [channel for colour in (RED, INK, DIM, "white") for channel in ImageColor.getrgb(colour)]
    palette = Image.new("P", (1, 1))
    palette.putpalette((picture.quantize(124).getpalette() or [])[: 3 * 124] + kept)
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


def _enlarged(pixels: np.ndarray, width: int, height: int) -> Image.Image:
    return Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)


def _font() -> Any:
    from matplotlib import font_manager

    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), size=12)
