"""Runs the notebooks of the course: `run` into a folder for `make course`, `refresh` in place for `make notebooks`.

`run --solved` runs it as a learner who has solved every exercise, and `compare` tells whether two runs show the same.
`keep` puts the outputs of a finished `run` into the notebooks themselves, so that a reader on the web sees them;
`sources` renews the source code, quizzes and diagrams that notebooks show, after these have changed, and runs nothing
else.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
STATIC = ("course.show_source(", "course.quiz(", "course.diagram(")  # outputs that depend on the package alone
WIDGET = "application/vnd.jupyter.widget-view+json"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute every notebook in order; copies and what they train go to --out")
    run.add_argument("--preset", default="laptop")
    run.add_argument("--out", type=Path, required=True)
    run.add_argument("--solved", action="store_true", help="as a learner who has solved every exercise")
    in_place = commands.add_parser("refresh", help="execute every notebook in place, at its own parameters")
    for command in (run, in_place):
        command.add_argument("--only", default="", help="only notebooks whose name starts so, for instance 03")
    commands.add_parser("one", help="what refresh does, for one notebook").add_argument("path", type=Path)
    keep = commands.add_parser("keep", help="put the outputs of a finished `run` into the notebooks themselves")
    keep.add_argument("--out", type=Path, required=True, help="the folder that `run` filled")
    keep.add_argument("--only", default="", help="only notebooks whose name starts so, for instance 03")
    renew = commands.add_parser(
        "sources", help="renew what course.show_source, course.quiz and course.diagram show; nothing is trained"
    )
    renew.add_argument("--only", default="", help="only notebooks whose name starts so, for instance 03")
    both = commands.add_parser("compare", help="the numbers that course.expect shows in two finished runs")
    both.add_argument("folders", type=Path, nargs=2)
    options = parser.parse_args()
    if options.command == "compare":
        return compare(*options.folders)
    if options.command == "one":
        return refresh(options.path)
    notebooks = sorted(path for path in NOTEBOOKS.glob("[0-9]*.ipynb") if path.name.startswith(options.only))
    if not notebooks:
        print(f"no notebook {options.only}*.ipynb in {NOTEBOOKS}", file=sys.stderr)
        return 2
    if options.command == "keep":
        return max(adopt(path, options.out / path.name) for path in notebooks)
    if options.command == "sources":
        for path in notebooks:
            renew_sources(path)
        return 0
    if options.command == "refresh":
        return run_all(notebooks, lambda path: measured(__file__, "one", str(path)))
    options.out.mkdir(parents=True, exist_ok=True)
    return run_all(notebooks, lambda path: papermill(path, options.out.resolve(), options.preset, options.solved))


def run_all(notebooks, execute) -> int:
    """Run `execute` on each until one fails; then a table of minutes and peak memory for README."""
    rows = []
    for path in notebooks:
        print(f"{path.stem} ...", flush=True)
        start = time.perf_counter()
        error, gigabytes = execute(path)
        rows.append((path.stem, time.perf_counter() - start, gigabytes, "failed" if error else "ok"))
        if error:
            print(error, file=sys.stderr)
            break
    rows.append(("together", sum(row[1] for row in rows), max(row[2] for row in rows), f"{len(rows)} notebooks"))
    width = max(len(row[0]) for row in rows)
    print(f"\n{'notebook':{width}}  minutes  memory")
    for name, seconds, gigabytes, result in rows:
        print(f"{name:{width}}  {seconds / 60:7.1f}  {gigabytes:4.1f} GB  {result}")
    return 1 if error else 0


def papermill(path: Path, out: Path, preset: str, solved: bool = False) -> tuple[str, float]:
    """Execute a copy of one notebook with `preset`; all share the run folder `out`, as a learner's notebooks do."""
    if solved:
        notebook = nbformat.read(path, as_version=4)
        solve(notebook)
        path = out / f"{path.stem}.solved.ipynb"
        nbformat.write(notebook, path)
    parameters = ["-r", "preset", preset, "-r", "run_dir", str(out)]
    settings = ["--cwd", str(NOTEBOOKS), "--kernel", "python3", "--no-progress-bar"]
    return measured("-m", "papermill", str(path), str(out / path.name.replace(".solved", "")), *parameters, *settings)


def solve(notebook) -> None:
    """Put the packaged solution in the place of every function that a learner is asked to write."""
    for cell in notebook.cells:
        asked = re.search(r'^course\.check\("(\d\d\.\d)", (\w+)\)', cell.source, re.MULTILINE)
        if cell.cell_type == "code" and asked:
            answer = f'{asked[2]} = course.checking.get_solution("{asked[1]}").answer\n'
            cell.source = cell.source[: asked.start()] + answer + cell.source[asked.start() :]


def measured(*arguments: str) -> tuple[str, float]:
    """Run Python in a process of its own, so that its memory can be told: (what went wrong or "", GB at the peak)."""
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        errors = process.stderr.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, kilobytes elsewhere
    return (errors or f"exit status {process.returncode}") if process.returncode else "", usage.ru_maxrss / unit


def refresh(path: Path) -> int:
    """Execute one notebook in place, keeping what a reader on the web can see: no widget state, no timestamps."""
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=None,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        store_widget_state=False,
        record_timing=False,
    )
    try:
        client.execute()
    except CellExecutionError as error:
        print(error, file=sys.stderr)
        return 1
    tidy(notebook)
    nbformat.write(notebook, path)
    return 0


def adopt(path: Path, executed: Path) -> int:
    """Take the outputs of an executed copy into a notebook whose cells are the same; 1 when a cell differs."""
    notebook, copy = nbformat.read(path, as_version=4), nbformat.read(executed, as_version=4)
    shown = {cell.id: cell for cell in copy.cells}
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for count, cell in enumerate(code, start=1):
        other = shown.get(cell.id)
        if other is None or other.source != cell.source:
            print(f"{path.name}: a cell has changed since {executed} was run; run it again:\n{cell.source[:200]}")
            return 1
        cell.outputs, cell.execution_count = other.outputs, count
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    tidy(notebook)
    nbformat.write(notebook, path)
    return 0


def compare(first: Path, second: Path) -> int:
    """Print each number that `course.expect` shows in both runs; 1 when they differ somewhere."""
    different = 0
    names = {path.name for path in first.glob("[0-9]*.ipynb")} & {path.name for path in second.glob("[0-9]*.ipynb")}
    for path in sorted(path for path in NOTEBOOKS.glob("[0-9]*.ipynb") if path.name in names):
        runs = [expected(nbformat.read(folder / path.name, as_version=4)) for folder in (first, second)]
        for name in sorted(runs[0].keys() | runs[1].keys()):
            values = [found.get(name, "-") for found in runs]
            different += values[0] != values[1]
            print(path.stem[:2], name, *values, "" if values[0] == values[1] else "<- differ")
    return min(different, 1)


def expected(notebook) -> dict[str, str]:
    """What `course.expect` shows in a notebook: numbers by their names."""
    texts = [
        output.get("data", {}).get("text/plain", "") for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    return dict(re.findall(r"^(.*): (\S+)[^:]* at preset laptop; ", "\n".join(texts), re.MULTILINE))


def renew_sources(path: Path) -> None:
    """Renew the outputs of cells that only show source code, a quiz or a diagram."""
    notebook = nbformat.read(path, as_version=4)
    for cell, shown in sources(notebook):
        cell.outputs = [nbformat.v4.new_output("display_data", data=bundle) for bundle in shown]
    nbformat.write(notebook, path)


def sources(notebook):
    """Each cell that only calls a function of STATIC, and the outputs it would show now."""
    from genie_lite.course import notes

    names: dict = {}
    for cell in notebook.cells:
        if cell.cell_type != "code" or cell.source.lstrip().startswith(("%", "!")):
            continue
        statements = ast.parse(cell.source).body
        for statement in statements:
            if isinstance(statement, (ast.Import, ast.ImportFrom)):
                exec(ast.unparse(statement), names)
        if statements and all(ast.unparse(statement).startswith(STATIC) for statement in statements):
            shown: list = []
            before, notes.display = notes.display, shown.append
            try:
                exec(cell.source, names)
            finally:
                notes.display = before
            yield cell, shown


def tidy(notebook) -> None:
    """Keep what a reader on the web can see: no live widgets, progress bars as they ended, plain metadata."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            cell.outputs = merge_streams([output for output in cell.outputs if not only_a_widget(output)])
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET, None)


def merge_streams(outputs: list) -> list:
    """Join pieces of one stream, and let each line be what was last written over it (carriage returns)."""
    merged: list = []
    for output in outputs:
        if output.output_type == "stream" and merged and merged[-1].get("name") == output.name:
            merged[-1].text += output.text
        else:
            merged.append(output)
    for output in merged:
        if output.output_type == "stream":
            lines = output.text.replace("\r\n", "\n").split("\n")
            output.text = "\n".join(line.rstrip("\r").rsplit("\r", 1)[-1] for line in lines)
    return [output for output in merged if output.output_type != "stream" or output.text.strip()]


def only_a_widget(output) -> bool:
    """Whether nothing but a live widget (and its text form, an address in memory) was shown."""
    data = output.get("data", {})
    return WIDGET in data and set(data) <= {WIDGET, "text/plain"}


if __name__ == "__main__":
    sys.exit(main())
