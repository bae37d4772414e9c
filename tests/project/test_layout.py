"""The house: folders are layers, files are short and named for what they hold, imports name the definition."""

import ast
import tomllib
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from pages import ROOT

import variate

PACKAGE = Path(variate.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "base", "common", "core", "misc"}
CONTRACT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
ROWS = [{name.strip() for name in row.replace(":", "|").split("|")} for row in CONTRACT["layers"]]


def module_of(path: Path) -> str:
    return ".".join(["variate", *path.relative_to(PACKAGE).with_suffix("").parts]).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def checked_for_types_only(tree: ast.AST) -> set[ast.AST]:
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)]
    return {inner for block in blocks for inner in ast.walk(block)}


def imported(path: Path, *, at_import: bool = False) -> Iterator[str]:
    """The modules of the package that a file imports; with ``at_import``, only those that its import needs."""
    tree = ast.parse(path.read_text())
    passed_over = checked_for_types_only(tree)
    if at_import:
        functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        passed_over |= {inner for function in functions for inner in ast.walk(function)}
    for node in ast.walk(tree):
        if node in passed_over:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & set(MODULES)
            yield from inner or {node.module}


def folder_of(module: str) -> str:
    """``attacks`` of ``variate.attacks.parts.apgd``; the file itself for the loose files at the top."""
    return module.split(".")[1] if "." in module else module


def arrows() -> set[tuple[str, str]]:
    """(folder, folder that it imports from), over all imports that run, those inside functions too."""
    found = {(folder_of(module), folder_of(name)) for module, path in MODULES.items() for name in imported(path)}
    return {(a, b) for a, b in found if a != b and a not in ("variate", "__main__")}


def graph(pairs) -> dict[str, set[str]]:
    links: dict[str, set[str]] = {}
    for a, b in pairs:
        links.setdefault(a, set()).add(b)
    return links


def test_folders_have_no_cycle():
    list(TopologicalSorter(graph(arrows())).static_order())  # raises CycleError with the cycle


def test_files_have_no_cycle_when_they_are_imported():
    pairs = {(module, name) for module, path in MODULES.items() for name in imported(path, at_import=True)}
    list(TopologicalSorter(graph(pairs)).static_order())


def test_no_arrow_points_upward():
    row = {name: number for number, names in enumerate(ROWS) for name in names}
    upward = {(a, b) for a, b in arrows() if b != "variate" and row[a] >= row[b] and a not in ROWS[-1] | ROWS[-2]}
    assert upward == set()
    assert {a for a, _ in arrows()} <= set(row)


def test_the_contract_can_be_held_in_mind():
    lines = Path(ROOT / "pyproject.toml").read_text().partition("[[tool.importlinter.contracts]]")[2]
    assert len(lines.partition("[[tool.importlinter.contracts]]")[0].strip().splitlines()) <= 20


def test_few_files_are_loose_at_the_top():
    assert len(list(PACKAGE.glob("*.py"))) <= 12


def test_files_are_short_and_named_for_what_they_hold():
    long = {module: lines for module, path in MODULES.items() if (lines := len(path.read_text().splitlines())) > 300}
    assert long == {}
    assert VAGUE & {path.stem for path in FILES} == set()


def test_imports_name_the_defining_file():
    reexported = []
    for module, path in MODULES.items():
        if module == "variate":
            continue  # the public names
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in MODULES and MODULES[node.module].stem == "__init__":
                names = {alias.name for alias in node.names if f"{node.module}.{alias.name}" not in MODULES}
                reexported += [(module, node.module, names)] if names else []
    assert reexported == []


def test_tests_mirror_the_folders_of_the_package():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders - {"project", "brought"} <= {path.name for path in PACKAGE.iterdir() if path.is_dir()}


def test_no_two_tests_of_a_file_share_a_name():
    """The second would take the place of the first, which then never runs."""
    for path in (ROOT / "tests").rglob("*.py"):
        names = Counter(node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
        assert [name for name, count in names.items() if count > 1 and name.startswith("test_")] == [], path.name


def test_every_public_name_exists_and_is_documented():
    for name in variate.__all__:
        value = getattr(variate, name)
        assert value.__doc__, name
