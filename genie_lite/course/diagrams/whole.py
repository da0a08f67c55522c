"""The diagrams of the whole: how Genie is trained, how a frame is filled in, how a world is played."""

from __future__ import annotations

from genie_lite.course.diagrams.drawing import Drawing
from genie_lite.inference.maskgit import masked_after


def genie() -> Drawing:
    """Figure 3 of the paper, with the notebooks in which the parts are built."""
    d = Drawing(
        840, 350, "The whole of Genie, as it is trained",
        """Frames x 1 to T of a video go two ways. The encoder of the video tokenizer turns them into tokens z 1 to T.
        The latent action model infers a latent action a tilde between each frame and the next, without labels. The
        dynamics model receives both, with no gradient back into the latent actions, and predicts the tokens of the next
        frames, z hat 2 to T, which the decoder of the tokenizer turns into frames x hat 2 to T. The tokenizer is
        trained first. In play you choose the latent actions.""",
    )  # fmt: skip
    video = d.frames(24, 136, 50)
    d.text(58, 224, "video $x_{1:T}$")
    encoder = d.box(134, 54, 160, 56, "video tokenizer\nencoder · notebook 03")
    lam = d.box(134, 226, 160, 56, "latent action model\nnotebook 04")
    for box in (encoder, lam):
        d.arrow((video.right[0] + 4, 170), (114, 170), (114, box.left[1]), box.left)
    tokens = d.grid(338, 59, ["token", "token-line", "token"] * 3, 3, 14)
    actions = d.grid(325, 246, ["action", "action-line", "action", "action"], 4, 16)
    d.text(361, 44, "tokens $z_{1:T}$")
    d.text(360, 288, "latent actions $ã_{1:T-1}$")
    d.text(360, 308, "in play, you choose them", 11.5, colour="dim")
    dynamics = d.box(446, 136, 142, 68, "dynamics model\nMaskGIT\nnotebook 05")
    d.arrow(encoder.right, (tokens.left[0] - 4, 82))
    d.arrow(lam.right, (actions.left[0] - 4, 254))
    d.arrow((tokens.right[0] + 4, 82), (517, 82), dynamics.top)
    stop = d.ring(452, 254, "sg", "stop", 13)
    d.line((actions.right[0] + 4, 254), stop.left, colour="action-line")
    d.arrow(stop.right, (517, 254), dynamics.bottom, colour="action-line")
    d.text(476, 288, "no gradient back", 12, anchor="start", colour="stop")
    predicted = d.grid(620, 147, ["token", "token-line", "token"] * 3, 3, 14)
    d.text(643, 134, "tokens $ẑ_{2:T}$")
    decoder = d.box(696, 142, 130, 56, "video tokenizer\ndecoder")
    d.arrow(dynamics.right, (predicted.left[0] - 3, 170))
    d.arrow((predicted.right[0] + 3, 170), decoder.left)
    made = d.frames(727, 242, 50)
    d.arrow(decoder.bottom, (761, made.top[1] - 4))
    d.text(690, 290, "$x̂_{2:T}$", 14)
    order = "trained first: the tokenizer; then the other two (the paper trains them together)"
    d.text(24, 334, order, 12, anchor="start", colour="dim")
    return d


def maskgit() -> Drawing:
    """How one frame is generated: every step one pass, and some tokens are decided."""
    count, steps, order = 16, 4, (5, 11, 2, 14, 0, 9, 7, 12, 3, 10, 6, 15, 1, 8, 13, 4)
    left = [count, *(masked_after(step, steps, count, "cosine") for step in range(1, steps + 1))]
    d = Drawing(
        840, 290, "One frame in four MaskGIT steps",
        f"""A frame of {count} tokens starts all masked. In every step the dynamics model makes one pass, given the past
        z 1 to t-1 and the latent action a tilde t-1, and a token is drawn for each masked position. Some are kept, the
        others are masked again. After steps 1 to {steps}, {", ".join(map(str, left[1:]))} tokens are masked: few are
        decided early, when little is known, and many late.""",
    )  # fmt: skip
    d.box(
        128,
        22,
        584,
        44,
        "dynamics model\none pass in each step, given the past $z_{1:t-1}$ and the latent action $ã_{t-1}$",
    )
    for step, masked in enumerate(left):
        x, before = 36 + 172 * step, left[max(step - 1, 0)]
        decided = dict.fromkeys(order[: count - before], "token")
        decided |= dict.fromkeys(order[count - before : count - masked], "token-line")
        d.grid(x, 112, [decided.get(place, "masked") for place in range(count)], 4, 18)
        d.text(x + 39, 212, "all masked" if step == 0 else f"step {step}", bold=True)
        d.text(x + 39, 230, f"{masked} masked", 12, colour="dim")
        if step:
            d.arrow((x - 90, 151), (x - 6, 151))
            d.arrow((x - 48, 68), (x - 48, 134))
            d.text(x - 48, 172, f"keep {before - masked}", 12, colour="token-line")
    schedule = "after step $s$ of $S$, ⌊$N$ cos(π$s$ / 2$S$)⌋ of $N$ tokens stay masked"
    d.text(420, 268, f"{schedule} · strong colour: decided in this step", 12, colour="dim")
    return d


def play() -> Drawing:
    """Figure 8 of the paper."""
    d = Drawing(
        840, 340, "The play loop",
        """The prompt x 1 is encoded once into tokens z 1, the start of the history, a window of 16 frames. You
        choose a latent action a t, a number. Its vector a tilde t is looked up in the codebook. The dynamics model
        reads history and vector and fills in the tokens of the next frame, z hat t+1, in a few MaskGIT steps. They
        join the history, and the decoder of the tokenizer turns them into the frame that you see, x hat t+1. Then you
        choose again.""",
    )  # fmt: skip
    prompt, encoder = d.frames(28, 42, 50, count=1), d.box(124, 40, 116, 54, "tokenizer\nencoder, once")
    d.text(53, 112, "prompt $x_{1}$")
    d.outline(286, 22, 262, 92)
    for place, words in enumerate(("$z_{1}$", "$z_{2}$", "…", "$ẑ_{t}$")):
        if words == "…":
            d.text(449, 66, words, 18)
            continue
        d.grid(304 + 62 * place, 36, ["token", "token-line", "token"] * 3, 3, 12)
        d.text(324 + 62 * place, 98, words)
    d.text(417, 134, "history: a window of 16 frames", 12, colour="dim")
    d.arrow((prompt.right[0] + 3, 67), encoder.left)
    d.arrow(encoder.right, (284, 67))
    you = d.box(24, 190, 104, 56, "you\nchoose $a_{t}$", "action")
    book = d.grid(168, 211, ["action-line" if code == 5 else "action" for code in range(8)], 8, 14)
    d.text(231, 246, "codebook, |A| = 8", 12)
    dynamics = d.box(376, 184, 150, 68, "dynamics model\nMaskGIT,\n$S$ passes")
    d.arrow(you.right, (book.left[0] - 3, 218))
    d.arrow((book.right[0] + 4, 218), (374, 218), colour="action-line")
    d.text(334, 206, "$ã_{t}$", 14)
    d.arrow((451, 142), dynamics.top)
    made = d.grid(566, 195, ["token", "token-line", "token"] * 3, 3, 14)
    d.text(589, 262, "$ẑ_{t+1}$", 14)
    decoder, screen = d.box(650, 190, 92, 56, "tokenizer\ndecoder"), d.frames(776, 193, 50, count=1)
    d.text(801, 262, "$x̂_{t+1}$", 14)
    d.arrow(dynamics.right, (made.left[0] - 3, 218))
    d.arrow((made.right[0] + 3, 218), decoder.left)
    d.arrow(decoder.right, (screen.left[0] - 2, 218))
    d.arrow((589, 190), (589, 67), (550, 67), colour="token-line")
    d.text(600, 120, "the new tokens", 12, anchor="start", colour="token-line")
    d.text(600, 137, "join the history", 12, anchor="start", colour="token-line")
    d.arrow((801, 272), (801, 306), (76, 306), (76, 248), dashed=True)
    d.text(438, 324, "you see the frame and choose again", 12, colour="dim")
    return d
