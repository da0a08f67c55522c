"""The check of exercise 06.1: a world is played with a window that slides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from genie_lite.course.checking import Mistake, call

WINDOW = 5
Imagine = Callable[[Tensor, Tensor], Tensor]


def imagine(past: Tensor, codes: Tensor) -> Tensor:
    """Tokens [B, N] that depend on every token [B, t, N] and code [B, t], and on their order."""
    if past.ndim != 3 or codes.ndim != 2 or past.shape[:2] != codes.shape:
        raise ValueError(
            f"imagine: found tokens {list(past.shape)} and codes {list(codes.shape)}, expected [B, t, N] and [B, t]: "
            "the last code leads to the new frame"
        )
    age = torch.arange(1, past.shape[1] + 1)[:, None]
    return (past * (age * codes[..., None] + age**2 + 1)).sum(dim=1) % 97


def _played(
    tokens: Tensor,
    codes: Tensor,
    actions: Tensor,
    *,
    past: Callable[[Tensor], Tensor] = lambda tokens: tokens[:, 1 - WINDOW :],
    lead: Callable[[Tensor], Tensor] = lambda codes: codes,
    choose: Callable[[Tensor, int], Tensor] = lambda actions, t: actions[:, t : t + 1],
    remember: bool = True,
) -> Tensor:
    """Tokens [B, T, N] as they should be, or with mistakes."""
    made: list[Tensor] = []
    for t in range(actions.shape[1]):
        codes = torch.cat([codes, choose(actions, t)], dim=1)
        seen = past(tokens)
        made.append(imagine(seen, lead(codes[:, -seen.shape[1] :])))
        if remember:
            tokens = torch.cat([tokens, made[-1][:, None]], dim=1)
        else:
            codes = codes[:, :-1]
    return torch.stack(made, dim=1)


def _oldest(tokens: Tensor) -> Tensor:
    return tokens[:, : WINDOW - 1]


def _pinned(tokens: Tensor) -> Tensor:
    return tokens if tokens.shape[1] < WINDOW else torch.cat([tokens[:, :1], tokens[:, 2 - WINDOW :]], dim=1)


def _only_new(codes: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(codes[:, :-1]), codes[:, -1:]], dim=1)


MISTAKES: dict[str, dict[str, Any]] = {
    "Nothing leaves the window: the past grows with every frame. Keep the newest window - 1.": {
        "past": lambda tokens: tokens
    },
    "The past is one frame too long. The new frame is one of the window, so window - 1 are left.": {
        "past": lambda tokens: tokens[:, -WINDOW:]
    },
    "The past is one frame too short: window - 1 frames, and the new one.": {
        "past": lambda tokens: tokens[:, 2 - WINDOW :]
    },
    "The world sees one frame alone: it cannot tell a jump from a fall. Give it the newest window - 1.": {
        "past": lambda tokens: tokens[:, -1:]
    },
    "The *oldest* frames stay in the window. The newest have to: `tokens[:, -(window - 1):]`.": {"past": _oldest},
    "The first frame stays in the window for ever. It leaves as all others do.": {"past": _pinned},
    "The new frames are not remembered: every one is imagined from the prompt.": {"remember": False},
    "Every frame gets the first action. Frame t gets `actions[:, t]`.": {"choose": lambda actions, t: actions[:, :1]},
    "The actions are taken from the end. Begin with `actions[:, 0]`.": {
        "choose": lambda actions, t: actions[:, actions.shape[1] - 1 - t :][:, :1]
    },
    "The new action stands in place of all codes. Those between past frames stay what they were.": {
        "lead": lambda codes: codes[:, -1:].expand_as(codes)
    },
    "The codes between past frames are missing (0 in their place). They belong to the past, too.": {"lead": _only_new},
    "The codes run backwards: the newest comes last.": {"lead": lambda codes: codes.flip(1)},
}


def check_play_loop(answer: Callable[..., Any]) -> str:
    """play_loop(tokens, codes, actions, window, imagine) gives the tokens [B, T, N] of the new frames."""
    generator = torch.Generator().manual_seed(8)
    tokens = torch.randint(97, (2, 3, 4), generator=generator)
    codes, actions = (torch.randint(1, 8, (2, length), generator=generator) for length in (2, 9))
    calls: list[int] = []

    def watched(past: Tensor, leading: Tensor) -> Tensor:
        calls.append(len(past))
        return imagine(past, leading)

    found = call(answer, tokens.clone(), codes.clone(), actions.clone(), WINDOW, watched)
    if not isinstance(found, Tensor):
        raise Mistake(f"Found {type(found).__name__}, expected a tensor of tokens, [B, T, N]: `torch.stack(...)`.")
    right = _played(tokens, codes, actions)
    if not calls:
        raise Mistake("`imagine` was never called. It makes the tokens of the next frame, one frame a call.")
    if found.shape == (2, 12, 4):
        raise Mistake("The prompt is returned with the new frames. Expected the new ones alone, [B, T, N].")
    if found.shape == (9, 2, 4):
        raise Mistake("The frames come first, [T, B, N]; expected [B, T, N]: stack along `dim=1`.")
    if found.shape != right.shape:
        raise Mistake(f"Found shape {list(found.shape)}, expected [B, T, N] = {list(right.shape)}.")
    if not torch.equal(found.to(right.dtype), right):
        for text, wrong in MISTAKES.items():
            if torch.equal(found, _played(tokens, codes, actions, **wrong)):
                raise Mistake(text)
        t = int((found != right).any(2).any(0).nonzero()[0])
        where = "from the first" if not t else f"up to {t} right, from new frame {t + 1} on wrong"
        raise Mistake(
            f"The new frames are {where}: {WINDOW - 1} past frames and as many codes, the last of which leads to the "
            "new frame; then it joins the past."
        )
    longer = call(answer, tokens.clone(), codes.clone(), actions.clone(), 99, imagine)
    if not torch.equal(longer, _played(tokens, codes, actions, past=lambda tokens: tokens)):
        raise Mistake(f"Right for a window of {WINDOW}, wrong for a longer one: use the argument `window`.")
    return "Every frame is made from frames that were made, and what leaves the window is forgotten."
