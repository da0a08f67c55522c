"""Exercises of notebook 01: correct answers pass in any style, and each mistake is named."""

from __future__ import annotations

import numpy as np
import pytest

from genie_lite.course import verdict
from genie_lite.course.checking import get_solution


@pytest.mark.parametrize("name", ["01.1", "01.2", "01.3"])
def test_the_solution_is_right_and_the_stub_unanswered(name: str) -> None:
    assert verdict(name, get_solution(name).answer).status == "right"
    assert verdict(name, lambda *_: None).status == "unanswered"
    assert verdict(name, None).status == "unanswered"


def starts(
    shift: int = 0, cross: bool = False, skip_last: bool = False, ignore_stride: bool = False, step: bool = False
):
    def answer(episode_starts, num_frames, length, stride):
        if cross:
            return np.arange(num_frames - (length - 1) * stride)
        ends = [*episode_starts[1:], num_frames][: len(episode_starts) - skip_last]
        span = (length - 1) * (1 if ignore_stride else stride)
        pairs = zip(episode_starts, ends, strict=False)
        return [s for start, end in pairs for s in range(start, end - span + shift, stride if step else 1)]

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (starts(cross=True), "next episode begins"),
        (starts(shift=1), "next episode begins"),
        (starts(shift=-1), "off by one"),
        (starts(skip_last=True), "no clip from the last episode"),
        (starts(ignore_stride=True), "stride 1"),
        (starts(step=True), "you skip starts"),
        (lambda s, n, length, stride: "0 1 2", "Expected a list"),
        (lambda s, n, length, stride: [*starts()(s, n, length, stride), n - 1], "the last frame is 19"),
        (lambda s, n, length, stride: starts()(s, n, length, stride) * 2, "twice"),
        (lambda s, n, length, stride: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_mistakes_with_clip_starts(answer, words: str) -> None:
    found = verdict("01.1", answer)
    assert found.status == "wrong" and words in found.message, found


def decibels(
    clips, *, peak=255.0, wrap=False, log=np.log10, factor=-10.0, power=2, axes=(2, 3, 4), first=False, dtype=float
):
    clips = clips if wrap else clips.astype(dtype)
    before = clips[:, :1] if first else clips[:, :-1]
    return factor * log((np.abs((clips[:, 1:] - before) / peak) ** power).mean(axis=axes))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"wrap": True}, "wrap around"),
        ({"peak": 1.0}, "48.13"),
        ({"factor": 10.0}, "sign"),
        ({"log": np.log}, "natural logarithm"),
        ({"factor": -5.0}, "Half"),
        ({"power": 1}, "mean absolute error"),
        ({"axes": None}, "one number for everything"),
        ({"axes": (0, 1, 2)}, "shape"),
        ({"first": True}, "first frame of its clip"),
        ({"factor": -11.0}, "expected"),
        ({"dtype": np.float16}, "float16"),
    ],
)
def test_mistakes_with_copy_psnr(wrong: dict, words: str) -> None:
    found = verdict("01.2", lambda clips: decibels(clips, **wrong))
    assert found.status == "wrong" and words in found.message, found


@pytest.mark.filterwarnings("ignore:invalid value")
def test_squares_of_int16_overflow() -> None:
    def answer(clips):
        difference = clips[:, 1:].astype(np.int16) - clips[:, :-1].astype(np.int16)
        return 10 * np.log10(255**2 / np.square(difference).mean((2, 3, 4)))

    found = verdict("01.2", answer)
    assert found.status == "wrong" and "int16 ends at 32,767" in found.message, found


def test_frame_by_frame_in_float32_is_right_too() -> None:
    def answer(clips):
        frames = clips.astype(np.float32)
        errors = [[((b - a) ** 2).mean() for a, b in zip(clip, clip[1:], strict=False)] for clip in frames]
        return 20 * np.log10(255 / np.sqrt(errors))

    assert verdict("01.2", answer).status == "right"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda a, b: a[0] < b[0] + b[1] and b[0] < a[0] + a[1], "every"),
        (lambda a, b: a[0] <= b[0] + b[1] and b[0] <= a[0] + a[1], "levels 0 to 99"),
        (lambda a, b: 0 in (a[1], b[1]) or a[0] <= b[0] < a[0] + a[1], "when the higher range comes first"),
        (lambda a, b: True, "far apart"),
        (
            lambda a, b: a[0] <= b[0] < sum(a) or (b[0] <= a[0] and sum(a) <= sum(b)),
            "when the higher range comes first",
        ),
        (lambda a, b: a[0] <= b[0] < sum(a) or a[0] <= sum(b) - 1 < sum(a) or 0 in (a[1], b[1]), "entirely inside"),
        (lambda a, b: a[1] == 0 or bool(set(range(a[0], sum(a))) & set(range(b[0], sum(b)))), "second range"),
        (lambda a, b: a == b, "level 99 is in both"),
    ],
)
def test_mistakes_with_share_levels(answer, words: str) -> None:
    found = verdict("01.3", answer)
    assert found.status == "wrong" and words in found.message, found
