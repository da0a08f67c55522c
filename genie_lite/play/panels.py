"""Where the next prompt comes from: frames of the data, an uploaded picture, a drawing."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import ipywidgets
import numpy as np

from genie_lite.play.controls import DrawingCanvas
from genie_lite.play.fitting import FittedImage, PromptError, fit
from genie_lite.play.pictures import to_png
from genie_lite.play.prompts import Prompts

Use = Callable[[np.ndarray], None]  # starts play from a prompt, uint8 [T, H, W, C] or [H, W, C]
Say = Callable[[str, bool], None]  # shows a message; True: it is an error
GALLERY_SIZE = 8


def picture(png: bytes, *classes: str) -> ipywidgets.Image:
    """An image widget that CSS may size."""
    image = ipywidgets.Image(value=png, format="png")
    for name in classes:
        image.add_class(name)
    return image


class FittedPreview(ipywidgets.HBox):
    """A picture beside what the model sees of it, and what was done in between."""

    def __init__(self) -> None:
        self.original = picture(b"", "gl-original")
        self.seen = picture(b"", "gl-seen")
        self.notes = ipywidgets.HTML()
        arrow = ipywidgets.HTML("<span class='gl-becomes' aria-hidden='true'>→</span>")
        before = self._titled("your picture", self.original)
        after = self._titled("as the world sees it", self.seen)
        super().__init__([before, arrow, after, self.notes])
        self.add_class("gl-preview")
        self.layout.display = "none"

    @staticmethod
    def _titled(title: str, image: ipywidgets.Image) -> ipywidgets.VBox:
        box = ipywidgets.VBox([image, ipywidgets.HTML(title)])
        box.add_class("gl-titled")
        return box

    def show(self, fitted: FittedImage) -> None:
        """Show a fitted picture."""
        small = fitted.original.copy()
        small.thumbnail((256, 256))
        self.original.value, self.seen.value = to_png(small), to_png(fitted.frame)
        self.notes.value = f"<span class='gl-notes'>{html.escape(fitted.summary)}</span>"
        self.layout.display = ""


class GalleryPanel(ipywidgets.VBox):
    """Frames of the dataset to start from."""

    def __init__(self, prompts: Prompts, use: Use) -> None:
        self.prompts, self._use = prompts, use
        self._shown: list[np.ndarray] = []
        self._images = [picture(b"", "gl-thumb") for _ in range(GALLERY_SIZE)]
        self.buttons = [ipywidgets.Button(tooltip="Start play from this frame") for _ in self._images]
        tiles = []
        for index, (image, button) in enumerate(zip(self._images, self.buttons, strict=True)):
            button.on_click(lambda _, index=index: self._use(self._shown[index]))
            tile = ipywidgets.Box([image, button])
            tile.add_class("gl-tile")
            tiles.append(tile)
        self.more = ipywidgets.Button(description="Other frames", icon="refresh", tooltip="Show other frames")
        self.more.on_click(lambda _: self.turn())
        grid = ipywidgets.Box(tiles)
        grid.add_class("gl-gallery")
        super().__init__([grid, self.more])
        self.turn()

    def turn(self) -> None:
        """Show the next frames."""
        self._shown = [self.prompts.next() for _ in self._images]
        for image, prompt in zip(self._images, self._shown, strict=True):
            image.value = to_png(prompt[-1])


class _FittingPanel(ipywidgets.VBox):
    def __init__(self, frame_size: tuple[int, int], channels: int, use: Use, say: Say) -> None:
        self.preview = FittedPreview()
        self._frame_size, self._channels, self._use, self._say = frame_size, channels, use, say
        super().__init__()

    def take(self, content: bytes, name: str) -> None:
        """Start play from the bytes of an image file, or say what is wrong with it; then play goes on as it was."""
        try:
            fitted = fit(content, self._frame_size, self._channels)
        except PromptError as error:
            self._say(f"{name}: {str(error).removeprefix('picture: ')}", True)
            return
        self.preview.show(fitted)
        self._use(fitted.frame)
        self._say(f"Playing from {name}.", False)


class UploadPanel(_FittingPanel):
    """A picture or photo of the learner's own."""

    def __init__(self, frame_size: tuple[int, int], channels: int, use: Use, say: Say) -> None:
        super().__init__(frame_size, channels, use, say)
        self.upload = ipywidgets.FileUpload(accept="image/*", multiple=False, description="Choose a picture")
        self.upload.observe(self._uploaded, names="value")
        text = "PNG, JPEG, GIF, WebP … of any size. It goes nowhere but to this notebook's kernel."
        row = ipywidgets.HBox([self.upload, ipywidgets.HTML(f"<span class='gl-notes'>{text}</span>")])
        row.add_class("gl-row")
        self.children = (row, self.preview)

    def _uploaded(self, change: dict[str, Any]) -> None:
        for file in change["new"]:
            self.take(bytes(file["content"]), file["name"])
        if change["new"]:
            self.upload.value = ()  # so that the same file may be chosen again


class DrawPanel(_FittingPanel):
    """A drawing made right here."""

    def __init__(
        self, frame_size: tuple[int, int], channels: int, use: Use, say: Say, current_frame: Callable[[], bytes]
    ) -> None:
        super().__init__(frame_size, channels, use, say)
        self.canvas = DrawingCanvas(
            lambda png: self.take(png, "your drawing"), current_frame, frame_size=list(frame_size)
        )
        self.children = (self.canvas, self.preview)
