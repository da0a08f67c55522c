"""The diagrams of the models: ST-transformer block, video tokenizer, latent action model, dynamics model."""

from __future__ import annotations

from collections.abc import Callable

from genie_lite.course.diagrams.drawing import Drawing


def st_block() -> Drawing:
    """Figure 4 of the paper."""
    d = Drawing(
        840, 330, "The ST-transformer block",
        """Tokens, a tensor x of shape B, T, N, D, pass through L blocks. A block has three layers, and each adds its
        output to its input: spatial attention, in which a token attends to the tokens of its own frame; causal
        temporal attention, in which it attends to the same position in its own frame and in earlier ones; and a
        single feed-forward layer. Beside the block, two rows of four frames of nine tokens show what the middle token
        of frame 3 attends to: in space, all of frame 3; in time, the middle tokens of frames 1, 2 and 3.""",
    )  # fmt: skip
    d.outline(24, 44, 244, 246)
    d.text(262, 36, "one of $L$ blocks", 12, anchor="end", colour="dim")
    d.text(98, 314, "$x$:  B, T, N, D", 12, anchor="start")
    d.arrow((80, 318), (80, 274))
    layers = ((214, "spatial attention", "within a frame"), (134, "temporal attention", "along time, causal"))
    for y, name, note in (*layers, (54, "feed-forward", "one in each block")):
        layer, plus = d.box(108, y + 4, 150, 46, f"{name}\n{note}"), d.ring(80, y + 12, "+")
        d.arrow((80, y + 62), plus.bottom)  # past the layer
        d.arrow((80, y + 62), (183, y + 62), layer.bottom)  # through the layer
        d.arrow((108, y + 12), plus.right)
    d.arrow((80, 55), (80, 20))
    for frame in range(4):
        d.text(488 + 90 * frame, 62, f"frame {frame + 1}", 12, colour="dim")
    _attends(d, 76, "spatial attention", "$T N²$ pairs", lambda frame, token: frame == 2)
    _attends(d, 196, "temporal attention", "$N T(T+1)/2$ pairs", lambda frame, token: frame <= 2 and token == 4)
    d.text(623, 306, "red: the token that attends · blue: what it attends to", 12, colour="dim")
    return d


def _attends(d: Drawing, y: float, name: str, cost: str, sees: Callable[[int, int], bool]) -> None:
    """Four frames of nine tokens: what the middle token of the third attends to."""
    d.text(290, y + 40, name, 13, anchor="start", bold=True)
    d.text(290, y + 60, cost, 13, anchor="start", colour="dim")
    for frame in range(4):
        d.grid(456 + 90 * frame, y, ["frame-line" if sees(frame, n) else "model" for n in range(9)], 3, 20)
    d.mark(456 + 180 + 22, y + 22, 20)


def tokenizer() -> Drawing:
    """Figure 6 of the paper."""
    d = Drawing(
        840, 296, "The video tokenizer",
        """Frames x 1 to T are cut into patches, and an ST-transformer encodes them into latents z e, one for each
        patch. Each latent is replaced by the nearest of the K codes in the codebook; the index of that code is
        the token z. A second ST-transformer decodes the codes into frames x hat 1 to T. The reconstruction loss
        compares them with the frames. As the choice of a code has no gradient, the gradient of the codes is
        copied to the latents. Both transformers are causal: the tokens of frame t depend on frames 1 to t.""",
    )  # fmt: skip
    video, encoder = d.frames(24, 100, 50), d.box(122, 104, 122, 68, "encoder\nST-transformer\ncausal")
    latents, nearest = d.grid(284, 116, ["model"] * 9, 3, 14), d.box(366, 110, 88, 56, "nearest\ncode", bold=False)
    tokens = d.grid(492, 116, ["token", "token", "token-line"] * 3, 3, 14)
    decoder, rebuilt = d.box(578, 104, 122, 68, "decoder\nST-transformer\ncausal"), d.frames(738, 100, 50)
    d.grid(336, 240, ["token-line" if code == 4 else "token" for code in range(10)], 10, 13)
    for place, words in (
        (58, "frames $x_{1:T}$"),
        (307, "latents $z_{e}$"),
        (515, "tokens $z_{1:T}$"),
        (772, "$x̂_{1:T}$"),
    ):
        d.text(place, 196, words)
    d.text(410, 278, "codebook $e_{1}, …, e_{K}$")
    for start, end in ((video, encoder), (encoder, latents), (latents, nearest), (nearest, tokens), (tokens, decoder),
                       (decoder, rebuilt)):  # fmt: skip
        d.arrow((start.right[0] + 3, 138), (end.left[0] - 2, 138))
    d.arrow((410, 238), nearest.bottom, colour="token-line")
    d.arrow((515, 108), (515, 76), (307, 76), (307, 108), colour="stop", dashed=True)
    d.text(411, 68, "gradient: straight through", 12, colour="stop")
    d.line((58, 92), (58, 34), (772, 34), (772, 92), colour="loss-line")
    d.box(354, 18, 114, 30, "$‖x − x̂‖²$", "loss")
    return d


def latent_action() -> Drawing:
    """Figure 5 of the paper."""
    d = Drawing(
        840, 306, "The latent action model",
        """The encoder sees frames x 1 to t and the next frame, x t+1, and gives a continuous latent action a tilde t.
        It is replaced by the nearest of eight codes in a codebook. The decoder sees frames 1 to t and this code, which
        is added to the embedding of each patch, and predicts the next frame, x hat t+1. It never sees x t+1 itself. The
        loss compares the prediction with x t+1. After training the paper keeps only the codebook.""",
    )  # fmt: skip
    past, after = d.frames(28, 32, 50), d.frames(34, 166, 50, count=1)
    d.text(62, 124, "past $x_{1:t}$")
    d.text(62, 240, "next $x_{t+1}$")
    encoder = d.box(156, 94, 122, 68, "encoder\nST-transformer\ncausal")
    d.arrow((past.right[0] + 4, 78), (140, 78), (140, 116), (154, 116))
    d.arrow((after.right[0] + 4, 191), (140, 191), (140, 142), (154, 142))
    latent = d.box(314, 110, 38, 36, "$ã_{t}$", "action")
    d.arrow(encoder.right, latent.left)
    nearest = d.box(386, 100, 88, 56, "nearest\ncode", bold=False)
    d.arrow(latent.right, nearest.left)
    d.grid(362, 196, ["action-line" if code == 2 else "action" for code in range(8)], 8, 15)
    d.arrow((430, 194), (430, 158), colour="action-line")
    d.text(428, 232, "codebook: |A| = 8 codes")
    d.text(428, 251, "(all that the paper keeps)", 11.5, colour="dim")
    plus, decoder = d.ring(528, 128, "+"), d.box(566, 94, 122, 68, "decoder\nST-transformer\ncausal")
    d.arrow(nearest.right, plus.left, colour="action-line")
    d.arrow(plus.right, decoder.left)
    d.arrow((past.right[0] + 4, 48), (528, 48), plus.top)
    d.text(330, 40, "the decoder sees the past and one of eight codes, never $x_{t+1}$", 12, colour="dim")
    made = d.frames(742, 103, 50, count=1)
    d.arrow(decoder.right, (made.left[0] - 3, 128))
    d.text(767, 176, "$x̂_{t+1}$", 14)
    d.line((59, 248), (59, 278), (767, 278), (767, 188), colour="loss-line")
    d.box(560, 263, 144, 30, "$‖x_{t+1} − x̂_{t+1}‖²$", "loss")
    return d


def dynamics() -> Drawing:
    """Figure 7 of the paper."""
    d = Drawing(
        840, 360, "The dynamics model",
        """Tokens z 1 to T are embedded; in training at least half of the tokens of frames 2 to T are masked. The vector
        of the latent action that leads to a frame is added to each token of that frame. No gradient flows back into
        the latent actions. A causal ST-transformer predicts the masked tokens, z hat 2 to T, and the loss is the
        cross-entropy between them and the true tokens.""",
    )  # fmt: skip
    hidden: tuple[set[int], ...] = (set(), {0, 2, 3, 4, 7}, {0, 1, 4, 5, 6, 8}, {1, 2, 3, 6, 7, 8})
    names = ("$z_{1}$", "$z_{2}$", "…", "$z_{T}$")
    given = ("", "$ã_{1}$", "…", "$ã_{T-1}$")
    made = ("", "$ẑ_{2}$", "…", "$ẑ_{T}$")
    d.box(150, 110, 520, 50, "ST-transformer\nspace: within a frame · time: this frame and those before it")
    for frame in range(4):
        x = 196 + 132 * frame
        d.grid(x, 278, ["masked" if n in hidden[frame] else "token" for n in range(9)], 3, 14)
        d.text(x + 23, 345, names[frame], 14)
        if frame == 0:
            d.arrow((x + 23, 274), (x + 23, 162))
            continue
        plus = d.ring(x + 23, 206, "+")
        d.arrow((x + 23, 274), plus.bottom)
        d.arrow(plus.top, (x + 23, 162))
        d.box(x - 66, 190, 48, 32, given[frame], "action")
        d.arrow((x - 18, 206), plus.left, colour="action-line")
        d.arrow((x + 23, 108), (x + 23, 86))
        d.grid(x, 36, ["token" if n in hidden[frame] else "paper" for n in range(9)], 3, 14)
        d.text(x + 74, 64, made[frame], 14)
    d.text(24, 300, "tokens; grey:", 12, anchor="start", colour="dim")
    d.text(24, 316, "masked, 50–100 %", 12, anchor="start", colour="dim")
    stop = d.ring(116, 206, "sg", "stop", 13)
    d.line((24, 206), stop.left, colour="action-line")
    d.line(stop.right, (262, 206), colour="action-line")
    d.text(24, 180, "latent actions", 12, anchor="start", colour="dim")
    d.text(24, 240, "no gradient flows back", 12, anchor="start", colour="stop")
    d.box(690, 44, 130, 46, "cross-entropy\nmasked tokens only", "loss")
    return d
