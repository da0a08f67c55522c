"""Answers of learners to every exercise, wrong and right, by the name of the exercise."""

from __future__ import annotations

import importlib
from typing import Any

_modules = [importlib.import_module(f"answers.nb{number:02}") for number in (*range(1, 9), 10, 11)]

# {exercise: {words that the message contains: a wrong answer}} and {exercise: {its style: a right answer}}
WRONG: dict[str, dict[str, Any]] = {name: answers for module in _modules for name, answers in module.WRONG.items()}
RIGHT: dict[str, dict[str, Any]] = {name: answers for module in _modules for name, answers in module.RIGHT.items()}
