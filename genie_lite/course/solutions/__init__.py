"""Solutions of the exercises, one module a notebook; `course.show_solution("01.1")` shows one."""
