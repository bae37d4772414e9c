"""What is installed is what was written: sdist, wheel from it, the command line in a clean environment."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import variate

ROOT = Path(__file__).parents[2]


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
        "src/variate/random/noise/noise.c",
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
    native = "variate/random/noise/noise.so" in names
    assert ("none-any" in built[1].name) != native  # a compiled library makes it a wheel of this platform
    assert not [name for name in names if name.startswith(("tests", "benchmarks", "docs", "runs"))]


def test_a_compiled_library_makes_a_wheel_of_this_platform(built):
    tags = pytest.importorskip("packaging.tags")
    parsed = tags.parse_tag("-".join(built[1].stem.split("-")[-3:]))
    assert parsed & set(tags.sys_tags())
    assert {(tag.interpreter, tag.abi) for tag in parsed} == {("py3", "none")}


def test_without_a_compiler_the_wheel_is_for_every_platform_and_holds_no_library(built, tmp_path):
    for name in ("src", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    (tmp_path / "src/variate/random/noise/noise.so").write_bytes(b"of another platform")
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", tmp_path]
    done(words, cwd=tmp_path, env={"PATH": "", "HOME": str(tmp_path)})
    (wheel,) = tmp_path.glob("*-py3-none-any.whl")
    native = "variate/random/noise/noise.so"
    assert set(names_in(wheel)) == set(names_in(built[1])) - {native}


def names_in(wheel):
    return zipfile.ZipFile(wheel).namelist()


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
    assert "evaluate" in done([command, "--help"], **run)
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
    done([command, "train", "--data", "digits", "--network", "mlp", "--epochs", "1", "--out", "net", "--quiet"], **run)
    short = ["--steps", "1", "--draws", "1", "--examples", "4", "--verdict-draws", "32", "--quiet"]
    done([command, "attack", "net", "--attack", "pgd", "--budget", "linf:0.1", *short], **run)
    done([command, "report", "net"], **run)
    assert "pgd" in (tmp_path / "net/report.html").read_text()
