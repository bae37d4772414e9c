"""What is installed is what was written: sdist, wheel from it, the command line in a clean environment, extras."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import variate
from variate.cli.doctor import required
from variate.errors import UsageError
from variate.lacking import imported

ROOT = Path(__file__).parent.parent


def plain(names):
    """Names of packages, as pip compares them."""
    return {name.lower().replace("_", "-") for name in names}


CALL = re.compile(r'imported\((?:"([\w.]+)"|\w+), "([\w-]+)"\)')


def done(words, **options):
    found = subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)
    assert found.returncode == 0, f"{words}\n{found.stdout}\n{found.stderr}"
    return found.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The source distribution, and the wheel that is made from it."""
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("dist")
    done([sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", folder], cwd=ROOT)
    (sdist,) = folder.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        files = [Path(name).relative_to(Path(name).parts[0]) for name in archive.getnames()]
        archive.extractall(folder, filter="data")
    source = folder / sdist.name.removesuffix(".tar.gz")
    done([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder], cwd=source)
    (wheel,) = folder.glob("*.whl")
    return files, wheel


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A clean environment with the wheel, which borrows everything else from this one."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    done([sys.executable, "-m", "venv", "--without-pip", folder])
    python = folder / "bin" / "python"
    site = Path(done([python, "-c", "import site; print(site.getsitepackages()[0])"]).strip())
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (site / "borrowed.pth").write_text("\n".join(borrowed))  # .pth files in there, such as our own, are not followed
    done([sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", built[1]])
    return folder / "bin"


def test_the_sources_hold_what_a_build_needs_and_no_more(built):
    files, _ = built
    for name in (
        "hatch_build.py",
        "constraints.txt",
        "Makefile",
        "LICENSE",
        "src/variate/samplers/noise.c",
        "tests/conftest.py",
    ):
        assert Path(name) in files, name
    assert not [path for path in files if path.suffix in (".so", ".pyc") or path.parts[0] in ("runs", "site", ".venv")]


def test_the_wheel_holds_everything_that_is_read_while_it_runs(built):
    names = zipfile.ZipFile(built[1]).namelist()
    here = {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*") if path.is_file()}
    expected = {name for name in here if "__pycache__" not in name and not name.endswith(".so")}
    assert expected <= set(names)
    assert "variate/py.typed" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    native = "variate/samplers/noise.so" in names
    assert ("none-any" in built[1].name) != native  # a compiled library makes it a wheel of this platform
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs", "runs"))]


def test_the_version_stands_in_one_place(built):
    assert built[1].name.split("-")[1] == variate.__version__
    assert f"version: {variate.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {variate.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_the_command_line_works_from_a_clean_environment(installed, tmp_path):
    command = installed / "variate"
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    run = {"cwd": tmp_path, "env": environment}
    place = done([installed / "python", "-c", "import variate; print(variate.__file__)"], **run)
    assert str(installed.parent) in place
    assert done([command, "--version"], **run).strip() == f"variate {variate.__version__}"
    assert "pgd" in done([command, "list", "attacks"], **run)
    assert json.loads(done([command, "doctor", "--json"], **run))["variate"] == variate.__version__
    study = (
        'title = "Tiny"\ndata = "digits"\nnetwork = "mlp"\nbudget = "linf:0.1"\ndefenses = ["random"]\n'
        "[training]\nepochs = 1\n[evaluation]\nexamples = 8\ndraws = 2\nverdict_draws = 16\n"
        'deployments = ["single"]\nattacks = [{ name = "pgd", steps = 2 }]\n'
    )
    (tmp_path / "tiny.toml").write_text(study)
    done([command, "study", "tiny.toml", "--out", "out", "--quiet"], **run)
    assert (tmp_path / "out/report.html").stat().st_size > 10_000
    assert (tmp_path / "out/records.jsonl").is_file()


def calls():
    """Where an optional library is imported: the library's module, and the extra that is said to install it."""
    found = {match.groups() for path in (ROOT / "src").rglob("*.py") for match in CALL.finditer(path.read_text())}
    return sorted((name, extra) for name, extra in found if name)


@pytest.mark.parametrize(("name", "extra"), calls())
def test_an_extra_installs_what_is_said_to_need_it(name, extra):
    packages = required()[extra]
    top = name.partition(".")[0]
    known = plain(packages_distributions().get(top, []))
    if not known:
        pytest.skip(f"{top} is not installed")
    assert known & plain(packages) or top == "pytorch_lightning"


@pytest.mark.parametrize(("name", "extra"), calls())
def test_a_missing_extra_is_named_with_what_installs_it(name, extra, monkeypatch):
    for module in [m for m in sys.modules if m == name or m.startswith(f"{name.partition('.')[0]}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name.partition(".")[0], None)
    with pytest.raises(UsageError) as error:
        imported(name, extra)
    assert f"pip install 'variate[{extra}]'" in str(error.value)


EXTRAS = sorted(set(required()) - {"", "dev"})
BLOCKED = """
import sys
blocked = {blocked!r}
from importlib.machinery import PathFinder
class Others:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else PathFinder.find_spec(name, path, target)
sys.meta_path = [Others if finder is PathFinder else finder for finder in sys.meta_path]
import importlib
import variate
for name in variate.__all__:
    getattr(variate, name)
from variate.cli.main import app
for name in {modules!r}:
    importlib.import_module(name)
"""


def top_modules(extra):
    """The modules that an extra's own packages bring, as far as they are installed."""
    wanted = plain(required()[extra])
    brought = packages_distributions().items()
    return sorted(top for top, names in brought if plain(names) & wanted and not top.startswith("_"))


@pytest.mark.parametrize("extra", ["none", *EXTRAS])
def test_every_extra_is_imported_alone(extra):
    mine = top_modules(extra) if extra != "none" else []
    if extra != "none" and not mine:
        pytest.skip(f"{extra} is not installed")
    core = {top for top, names in packages_distributions().items() if plain(names) & plain(required()[""])}
    others = {top for one in EXTRAS for top in top_modules(one)} - set(mine) - core
    modules = [name for name in mine if importlib.util.find_spec(name) and name.isidentifier() and name == name.lower()]
    keep = {"lightning_fabric", "lightning_utilities", "torchmetrics", "pytorch_lightning", "packaging", "yaml"}
    code = BLOCKED.format(blocked=sorted(others - keep), modules=modules)
    done([sys.executable, "-W", "ignore", "-c", code])
