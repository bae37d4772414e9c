"""The house: size and names of files, imports from the defining file, no trace of a stub."""

import ast
from pathlib import Path

import pytest

import variate
from variate.registry import SINGULAR

ROOT = Path(variate.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "helper", "base", "common", "core", "misc"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_are_short_and_named_for_what_they_hold(path):
    assert len(path.read_text().splitlines()) <= 300
    assert path.stem not in VAGUE


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_name_the_defining_file(path):
    if path == ROOT / "__init__.py":
        return  # the public names
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("variate"):
            target = ROOT.parent / node.module.replace(".", "/")
            modules = {found.stem for found in target.glob("*")} if target.is_dir() else set()
            names = {alias.name for alias in node.names}
            assert target.with_suffix(".py").exists() or names <= modules, f"{node.module} is a package: {names}"


@pytest.mark.parametrize("kind", SINGULAR)
def test_every_file_of_a_kind_is_an_entry_or_a_shared_part(kind):
    from variate.registry import entries

    stems = {path.stem for path in (ROOT / kind).glob("*.py") if not path.stem.startswith("_")}
    ours = {entry.module.rpartition(".")[2] for entry in entries(kind).values() if entry.module.startswith("variate.")}
    assert stems == ours


def test_every_public_name_exists_and_is_documented():
    for name in variate.__all__:
        value = getattr(variate, name)
        assert value.__doc__, name
