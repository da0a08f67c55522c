"""The course subpackage: verdicts, hints, quizzes, sources, figures, and which checkpoint a lesson uses."""

from __future__ import annotations

import ast
import inspect
import io
import logging
import re
import textwrap
import tokenize
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genie_lite import course, load_config
from genie_lite.api import Genie
from genie_lite.course import checking, figures, notes
from genie_lite.course.cards import cards
from genie_lite.data import sample_dataset


@pytest.fixture
def exercise(monkeypatch: pytest.MonkeyPatch) -> str:
    """An exercise whose answer is a function that doubles."""

    def judge(answer: object) -> str:
        found = course.call(answer, 3)
        if found != 6:
            raise course.Mistake(f"found {found}, wanted 6")
        return "Doubled."

    monkeypatch.setitem(checking._checks, "99.1", judge)
    monkeypatch.setitem(checking._solutions, "99.1", course.Solution(lambda x: 2 * x, "Twice."))
    return "99.1"


def test_a_right_answer_is_right(exercise: str) -> None:
    assert course.verdict(exercise, lambda x: x + x) == course.Verdict(exercise, "right", "Doubled.")


def test_a_wrong_answer_is_told_its_mistake(exercise: str) -> None:
    verdict = course.verdict(exercise, lambda x: x + 1)
    assert (verdict.status, verdict.message) == ("wrong", "found 4, wanted 6")


@pytest.mark.parametrize("placeholder", [None, ..., lambda x: None])
def test_a_placeholder_is_unanswered_and_raises_nothing(exercise: str, placeholder: object) -> None:
    assert course.verdict(exercise, placeholder).status == "unanswered"


def test_an_answer_that_raises_is_told_what_and_where(exercise: str) -> None:
    def answer(x: int) -> int:
        return x / 0

    verdict = course.verdict(exercise, answer)
    assert verdict.status == "wrong" and "ZeroDivisionError" in verdict.message and "line" in verdict.message


def test_a_result_in_place_of_the_function_is_told_so(exercise: str) -> None:
    assert "without calling it" in course.verdict(exercise, 6).message


def test_every_exercise_has_a_card_with_three_hints_and_a_solution() -> None:
    known = cards()
    counts = {1: 3, 2: 5, 3: 4, 4: 3, 5: 4, 6: 4, 7: 3, 8: 3, 10: 3, 11: 2}
    assert list(known) == [f"{notebook:02}.{i + 1}" for notebook, count in counts.items() for i in range(count)]
    for name, card in known.items():
        assert card.difficulty in (1, 2, 3) and 0 < card.minutes <= 30 and card.title and card.why
        assert len(card.hints) == 3, f"{name}: a question, a shape, a line"
        assert "?" in card.hints[0], f"{name}: the first hint asks a question"
        assert "`" in card.hints[2], f"{name}: the last hint shows a line of code"
        assert checking.get_solution(name).why


def tokens(code: str) -> Counter[str]:
    """Names, numbers, texts and operators of a piece of code, by how often they occur; brackets are left out."""
    kinds = (tokenize.NAME, tokenize.NUMBER, tokenize.OP, tokenize.STRING)
    try:
        found = [t.string for t in tokenize.generate_tokens(io.StringIO(code).readline) if t.type in kinds]
    except tokenize.TokenError:  # a hint may show a part of a line
        found = re.findall(r"\w+|[^\w\s]", code)
    return Counter(token for token in found if token not in "()[],:.")


def test_no_hint_is_the_whole_solution() -> None:
    """The last hint shows a line: at most three fifths of what the solution is made of."""
    for name, card in cards().items():
        (function,) = ast.parse(textwrap.dedent(inspect.getsource(checking.get_solution(name).answer))).body
        assert isinstance(function, ast.FunctionDef)
        whole = tokens("\n".join(ast.unparse(part) for part in function.body if not is_text(part)))
        for hint in card.hints:
            shown = tokens("\n".join(re.findall(r"`([^`]+)`", hint)))
            assert (whole & shown).total() <= 0.6 * whole.total(), f"{name}: {hint}"


def is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def test_hints_come_one_at_a_time_and_end_at_the_solution(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr("genie_lite.course.cards.say", lambda markdown, plain: shown.append(plain))
    monkeypatch.setattr("genie_lite.course.cards._given", {})
    for _ in range(4):
        course.hint("05.1")
    assert [text[:11] for text in shown] == ["Hint 1 of 3", "Hint 2 of 3", "Hint 3 of 3", "Hint 3 of 3"]
    assert "course.hint('05.1')" in shown[0] and "course.show_solution('05.1')" in shown[2]
    course.hint("05.1", 1)
    assert shown[-1] == shown[0]
    with pytest.raises(course.CourseError, match="expected 1 to 3"):
        course.hint("05.1", 7)
    with pytest.raises(course.CourseError, match="98.7"):
        course.hint("98.7")


def test_no_such_exercise() -> None:
    with pytest.raises(course.CourseError, match="98.7"):
        course.verdict("98.7", 1)
    with pytest.raises(course.CourseError, match="no such exercise"):
        course.verdict("../x", 1)


def test_a_verdict_escapes_what_a_learner_wrote(exercise: str) -> None:
    assert "<script>" not in course.Verdict(exercise, "wrong", "<script> `a`").html()


def test_source_between_two_texts() -> None:
    code, where = notes.source_of(Genie.encode, start="pixels, single", end="return")
    assert code.splitlines()[0].startswith("pixels, single")
    assert code.splitlines()[-1].strip().startswith("return")
    assert where.startswith("genie_lite/api.py, lines ")
    first, last = where.rsplit(" ", 1)[1].split("–")
    lines = Path(str(Genie.encode.__code__.co_filename)).read_text().splitlines()
    assert lines[int(first) - 1].strip() == code.splitlines()[0] and lines[int(last) - 1].strip().startswith("return")


def test_source_names_a_text_that_is_nowhere() -> None:
    with pytest.raises(ValueError, match="no line contains 'lambda q'"):
        notes.source_of(Genie.encode, start="lambda q")


def test_outside_a_notebook_texts_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="genie_lite.course"):
        course.expect("gain", 5.0, 1, 2, "dB")
    assert "gain: 5 dB (1 to 2 dB at preset laptop; outside" in caplog.text


def test_numbers_keep_three_digits_and_all_before_the_point() -> None:
    numbers = (0.012345, 32.24, 695.4, 999.6, 1023, 102400.0, 2.5e9)
    assert [notes.rounded(x) for x in numbers] == ["0.0123", "32.2", "695", "1000", "1023", "102400", "2.5e+09"]


def test_videos_as_a_strip_keep_their_pixels() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    picture = np.asarray(
        figures.video_picture([frames, frames[:2]], ["one", "two"], title="videos", columns="abc", scale=1)
    )
    found = [
        np.array_equal(picture[y : y + 8, x : x + 8], frames[2]) for y in range(60) for x in range(picture.shape[1] - 7)
    ]
    assert sum(found) == 1, "the third frame is in the first row and missing in the second"


def test_a_still_picture_is_small_and_near_to_what_was_drawn() -> None:
    dataset = sample_dataset("test")
    frames = dataset.read_clips(dataset.clip_starts(8)[::800], 8)
    picture = figures.video_picture(list(frames), columns=range(8))
    few = picture.quantize(200, dither=Image.Dither.NONE).convert("RGB")
    for drawn, most in ((picture, 32), (few, 0)):
        small, plain = figures.small_png(drawn), io.BytesIO()
        drawn.save(plain, "PNG", optimize=True)
        found = np.asarray(Image.open(io.BytesIO(small)).convert("RGB"), dtype=int)
        assert np.abs(found - np.asarray(drawn)).max() <= most
        assert len(small) < 0.6 * len(plain.getvalue()) or drawn is few


def test_a_video_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="float64"):
        figures.video_picture([np.zeros((2, 8, 8, 3))])


def test_an_animation_has_every_frame() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    picture = Image.open(io.BytesIO(figures.animation([frames, frames[:2]], labels=["a", "b"])))
    assert picture.format == "PNG" and picture.n_frames == 5


def test_the_seed_reaches_every_stage(tmp_path: Path) -> None:
    this = course.start("tiny", seed=7, run_dir=tmp_path)
    assert {this.config.training.tokenizer.seed, this.config.training.dynamics.seed} == {7}
    assert this.config.model == load_config("tiny").model
    assert this.folder("dynamics") != course.start("tiny", 8, tmp_path).folder("dynamics")


def test_a_stage_takes_your_own_checkpoint_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    this = course.start("tiny", run_dir=tmp_path)
    shipped = Genie(load_config("tiny"))
    monkeypatch.setattr("genie_lite.api.load", lambda name, device: shipped)
    assert this.stage("tokenizer") is shipped
    own = Genie(load_config("tiny"))
    own.save(this.folder("tokenizer") / "checkpoint")
    loaded = this.stage("tokenizer")
    assert loaded is not shipped
    frames = np.zeros((2, 64, 64, 3), np.uint8)
    assert np.array_equal(loaded.encode(frames), own.encode(frames))
    with pytest.raises(course.CourseError, match="expected one of tokenizer"):
        this.stage("tokeniser")


def test_tiny_reads_the_shipped_videos_and_writes_nothing(tmp_path: Path) -> None:
    this = course.start("tiny", run_dir=tmp_path / "run")
    assert this.train.attributes["split"] == "train" and this.test.attributes["split"] == "test"
    assert not (tmp_path / "run").exists()
