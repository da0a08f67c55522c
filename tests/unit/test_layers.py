"""The package is built in layers: a subpackage imports only from those listed before it.

Read from the source, so imports inside functions and under TYPE_CHECKING count as well. One order for all leaves no
room for a circle.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

import genie_lite

PACKAGE = Path(genie_lite.__file__).parent
LAYERS = (
    *(
        "interrupts",
        "files",
        "storage",
        "machine",
        "config",
        "nn",
        "models",
        "inference",
        "api",
        "data",
        "training",
        "evaluation",
    ),
    *("ablations", "agents", "play", "course", "diagnostics"),
    "genie_lite",  # genie_lite/__init__.py, whose functions call the layers before it
    "cli",
)
GROUND = {"__version__"}  # names of genie_lite/__init__.py that any layer may read: they import nothing
# Imports against the order that are known and wait to be mended: "file: imported layer".
KNOWN: set[str] = set()


class Import(NamedTuple):
    file: str
    line: int
    importer: str  # layer
    imported: str  # layer

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.importer} imports {self.imported}"


def layer(path: Path) -> str:
    """Which layer a file of the package belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return "genie_lite" if first == "__init__.py" else first.removesuffix(".py")


def imported_names(node: ast.AST) -> list[str]:
    """Dotted names that an import statement brings in, each at least as long as its module's name."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        assert node.level == 0, "the package uses absolute imports"
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return []


def imports_of(source: str, file: str, importer: str) -> list[Import]:
    """Imports of the package's own layers in `source`."""
    found = []
    for node in ast.walk(ast.parse(source)):
        for name in imported_names(node):
            package, _, rest = name.partition(".")
            if package != "genie_lite" or rest in GROUND:
                continue
            first = rest.partition(".")[0]
            known = first in LAYERS or (first and (PACKAGE / first).is_dir())
            imported = first if known else "genie_lite"
            found.append(Import(file, getattr(node, "lineno", 0), importer, imported))
    return found


def wrong(found: list[Import]) -> list[Import]:
    """Imports that go up, or to something that is no layer."""
    order = {name: index for index, name in enumerate(LAYERS)}
    return [
        i
        for i in found
        if i.importer not in order
        or i.imported not in order
        or (i.imported != i.importer and order[i.imported] > order[i.importer])
    ]


def test_every_module_belongs_to_a_layer() -> None:
    found = {layer(path) for path in PACKAGE.rglob("*.py")}
    assert found <= set(LAYERS), f"not in the list of layers: {sorted(found - set(LAYERS))}"


def test_imports_go_down() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    found = [i for path in files for i in imports_of(path.read_text(), str(path.relative_to(PACKAGE)), layer(path))]
    assert len(found) > 100
    against = wrong(found)
    new = [str(i) for i in against if f"{i.file}: {i.imported}" not in KNOWN]
    assert not new, "imports against the order of layers:\n" + "\n".join(new)
    mended = KNOWN - {f"{i.file}: {i.imported}" for i in against}
    assert not mended, f"no longer there, remove from KNOWN: {sorted(mended)}"


def test_what_would_be_missed() -> None:
    """Imports in functions, for types only, of a function of the whole package; and a layer that nobody listed."""
    for source in (
        "def f():\n    from genie_lite.api import Genie",
        "if TYPE_CHECKING:\n    from genie_lite.api import Genie",
        "import genie_lite.api",
        "from genie_lite import api",
        "from genie_lite import load",
        "import genie_lite",
    ):
        assert len(wrong(imports_of(source, "models/x.py", "models"))) == 1, source
    for source in ("from genie_lite import __version__, nn", "from genie_lite.nn import Patches", "import torch"):
        assert not wrong(imports_of(source, "models/x.py", "models")), source
    assert wrong(imports_of("from genie_lite.nn import Patches", "attic/x.py", "attic"))
