"""What the notebooks stand on: where a lesson's data and models come from, figures, sources shown, exercises checked.

::

    from genie_lite import course

    this = course.start("laptop", seed=0, run_dir="../runs/course")
    course.show_source(STBlock.forward)
    course.show_video(frames, title="a jump")
    course.check("01.1", answer)
"""

from genie_lite.course import figures
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
from genie_lite.course.figures import animate, plot_log, show_samples, show_table, show_video, show_videos
from genie_lite.course.lesson import Course, start
from genie_lite.course.notes import expect, show_source

__all__ = [
    "Course",
    "CourseError",
    "Mistake",
    "Solution",
    "Verdict",
    "animate",
    "call",
    "check",
    "exercise",
    "expect",
    "figures",
    "plot_log",
    "show_video",
    "show_videos",
    "show_samples",
    "show_solution",
    "show_source",
    "show_table",
    "solution",
    "start",
    "verdict",
]
