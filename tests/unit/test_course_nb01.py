"""Exercises of notebook 01: solutions pass, and each usual mistake is told apart."""

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


def starts(shift: int = 0, cross: bool = False, skip_last: bool = False, ignore_stride: bool = False):
    def answer(episode_starts, num_frames, length, stride):
        if cross:
            return np.arange(num_frames - (length - 1) * stride)
        ends = [*episode_starts[1:], num_frames][: len(episode_starts) - skip_last]
        span = (length - 1) * (1 if ignore_stride else stride)
        pairs = zip(episode_starts, ends, strict=False)
        return [s for start, end in pairs for s in range(start, end - span + shift)]

    return answer


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (starts(cross=True), "begins the next episode"),
        (starts(shift=1), "begins the next episode"),
        (starts(shift=-1), "off by one"),
        (starts(skip_last=True), "no clip from the last episode"),
        (starts(ignore_stride=True), "stride 1"),
        (lambda s, n, length, stride: [*starts()(s, n, length, stride), n - 1], "the last frame is 19"),
        (lambda s, n, length, stride: starts()(s, n, length, stride) * 2, "twice"),
        (lambda s, n, length, stride: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_mistakes_with_clip_starts(answer, words: str) -> None:
    found = verdict("01.1", answer)
    assert found.status == "wrong" and words in found.message, found


def decibels(clips, *, peak=255.0, wrap=False, log=np.log10, factor=-10.0, power=2, axes=(2, 3, 4), first=False):
    clips = clips if wrap else clips.astype(float)
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
        ({"first": True}, "first of its clip"),
        ({"factor": -11.0}, "wanted"),
    ],
)
def test_mistakes_with_copy_psnr(wrong: dict, words: str) -> None:
    found = verdict("01.2", lambda clips: decibels(clips, **wrong))
    assert found.status == "wrong" and words in found.message, found


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda a, b: a[0] < b[0] + b[1] and b[0] < a[0] + a[1], "every"),
        (lambda a, b: a[0] <= b[0] + b[1] and b[0] <= a[0] + a[1], "levels 0 to 99"),
        (lambda a, b: 0 in (a[1], b[1]) or a[0] <= b[0] < a[0] + a[1], "wholly inside"),
        (lambda a, b: True, "far apart"),
    ],
)
def test_mistakes_with_share_levels(answer, words: str) -> None:
    found = verdict("01.3", answer)
    assert found.status == "wrong" and words in found.message, found
