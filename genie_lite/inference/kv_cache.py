"""The KV cache: keys and values of past frames, so that a new frame costs attention for that frame only."""

from __future__ import annotations

from torch import Tensor

from genie_lite.nn import Attention
from genie_lite.nn.attention import rotate_to

Slots = list[tuple[Tensor, Tensor]]


class KVCache:
    """Keys and values of the last `window` frames: a ring of slots for each temporal attention of a transformer.

    A pass over the newest frame writes that frame's slot and attends to all filled slots. The slot may be written
    again, as every MaskGIT step does; `advance` makes the frame part of the past. Memory does not grow with the
    frames played.

    Keys are stored as they are computed, without rotation. Time is counted backwards from the newest frame, so each key
    is rotated by its age, and the newest queries and keys not at all (nn.attention says why only differences matter).
    """

    def __init__(self, window: int) -> None:
        self.window = window
        self.position = 0  # index of the newest frame, counted from the first frame of the prompt
        self.arranged: dict[Attention, tuple[Tensor, Tensor]] = {}  # a layer's weights as the one-frame pass wants them
        self._rings: dict[Attention, tuple[Tensor, Tensor]] = {}  # keys and values, [heads·B·N, window, d] each
        self._views: dict[Attention, tuple[Tensor, Tensor]] = {}  # the same for the newest frame, keys rotated by age

    def extend(self, layer: Attention, k: Tensor, v: Tensor, rows: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Add the newest frame's k and v, [heads·B·N, 1, d]: the keys and values that this frame may attend to.

        With `rows`, k and v belong to those of the B·N tokens only; so does the result, and the cache keeps nothing.
        """
        if rows is not None and not self.position:  # the first frame has no past
            return k, v
        if layer not in self._views:
            self._views[layer] = self._look_back(layer, k, v)
        keys, values = self._views[layer]
        slot = self.position % self.window
        if rows is not None:
            keys, values = (
                part.unflatten(0, (layer.num_heads, -1)).index_select(1, rows).flatten(0, 1) for part in (keys, values)
            )
        keys[:, slot] = k[:, 0]
        values[:, slot] = v[:, 0]
        return keys, values

    def _look_back(self, layer: Attention, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The filled slots as the newest frame sees them: each key rotated by its age."""
        if layer not in self._rings:
            keys, values = (x.new_zeros(len(x), self.window, x.shape[-1]) for x in (k, v))
            self._rings[layer] = keys, values
        keys, values = self._rings[layer]
        slot, filled = self.position % self.window, min(self.position + 1, self.window)
        ages = tuple(-((slot - other) % self.window) for other in range(filled))
        return rotate_to(keys[:, :filled], ages), values[:, :filled]

    def advance(self) -> None:
        """Make the newest frame part of the past."""
        slot = self.position % self.window
        for layer, (rotated, _) in self._views.items():
            self._rings[layer][0][:, slot] = rotated[:, slot]  # age 0: its rotation is none
        self._move(1)

    def _move(self, frames: int) -> None:
        self.position += frames
        self._views.clear()

    def repeated(self, count: int, clips: int) -> KVCache:
        """A cache of its own, in which each of the `clips` clips, B in all, stands `count` times in a row."""
        other = KVCache(self.window)
        other.position, other.arranged = self.position, self.arranged
        for layer, ring in self._rings.items():
            by_clip = (part.unflatten(0, (layer.num_heads * clips, -1)) for part in ring)
            keys, values = (part.repeat_interleave(count, dim=0).flatten(0, 1) for part in by_clip)
            other._rings[layer] = keys, values
        return other

    def snapshot(self) -> Slots:
        """Copies of the slots that the next frame will overwrite: what `rewind` needs to undo one `advance`."""
        slot = self.position % self.window
        return [(keys[:, slot].clone(), values[:, slot].clone()) for keys, values in self._rings.values()]

    def rewind(self, snapshot: Slots, position: int) -> None:
        """Go back to `position`, where `snapshot` was taken: one frame ago, or before the newest frame was complete."""
        self._move(position - self.position)
        slot = self.position % self.window
        for (keys, values), (k, v) in zip(self._rings.values(), snapshot, strict=True):
            keys[:, slot], values[:, slot] = k, v
