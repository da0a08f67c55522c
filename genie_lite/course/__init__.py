"""What the notebooks import: the videos and models of a lesson, figures, source code, exercises, hints and quizzes.

::

    from genie_lite import course

    this = course.start("laptop", seed=0, run_dir="../runs/course")
    course.show_source(STBlock.forward)
    course.diagram("tokenizer")
    course.show_video(frames, title="a jump")
    course.check("01.1", answer)
    yours = course.use({"03.2": nearest_code})  # what passes is trained
    course.hint("01.1")
    course.quiz("01")
"""

from genie_lite.course import explorers, figures
from genie_lite.course.cards import Card, card, hint
from genie_lite.course.checking import (
    CourseError,
    Mistake,
    Solution,
    Verdict,
    call,
    check,
    exercise,
    show_solution,
    solution,
    verdict,
)
from genie_lite.course.diagrams import diagram
from genie_lite.course.explore import explore
from genie_lite.course.figures import animate, plot_log, show_samples, show_table, show_video, show_videos
from genie_lite.course.lesson import Course, start
from genie_lite.course.notes import expect, show_source
from genie_lite.course.quiz import quiz
from genie_lite.course.yours import Yours, use

__all__ = [
    "Card",
    "Course",
    "CourseError",
    "Mistake",
    "Solution",
    "Verdict",
    "Yours",
    "animate",
    "call",
    "card",
    "check",
    "diagram",
    "exercise",
    "expect",
    "explore",
    "explorers",
    "figures",
    "hint",
    "plot_log",
    "quiz",
    "show_samples",
    "show_solution",
    "show_source",
    "show_table",
    "show_video",
    "show_videos",
    "solution",
    "start",
    "use",
    "verdict",
]
