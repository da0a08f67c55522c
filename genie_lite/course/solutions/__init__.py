"""Solutions of the exercises, one module per notebook; `course.show_solution("01.1")` shows one."""
