"""Every extra alone: with its own packages and no other, and an error that names it where they are not installed."""

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

requirements = pytest.importorskip("packaging.requirements")
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
WORKSHOP = {"dev", "docs"}  # for those who change Variate; nothing of it imports them
USES = {  # something of Variate that needs the extra, and what it says where the extra is there
    "": ("variate.DrawAccuracy().reset(); import variate.integrations.sklearn; variate.Served(net)(x)", ""),
    "art": ("variate.art_classifier(net, (4,), 3)", ""),
    "audio": (
        "from variate.datasets.parts.wav import clip_of\nclip_of(b'fLaC', rate=8000, length=8)",
        "RefusedError: is not a readable FLAC file",
    ),
    "datasets": (
        "(folder / 'a.parquet').write_text('')\nvariate.about('texts', folder=folder / 'a.parquet')",
        "DataError: .*a.parquet cannot be read",
    ),
    "foolbox": ("variate.foolbox_model(net)", ""),
    "hub": ("variate.push_to_hub('nowhere', 'us/nothing')", "CheckpointError: .*nowhere"),
    "lightning": ("from variate.integrations.lightning import RobustAccuracy; RobustAccuracy('linf:0.1')", ""),
    "mlflow": (
        "import os\nos.environ['MLFLOW_TRACKING_URI'] = f'sqlite:///{folder}/a.db'\n"
        "from variate.training.loggers import to_mlflow\nwith to_mlflow(folder, 'a', 0): pass",
        "",
    ),
    "onnx": ("variate.export(net, folder / 'a.onnx', x)", ""),
    "ray": (
        "from variate.study.engines.ray import run_with_ray\n"
        "next(run_with_ray(None, [], address='nonsense', cpus=1, gpus=0))",
        "VariateError: cannot reach the cluster nonsense",
    ),
    "tensorboard": (
        "from variate.training.curves import curves\nwith curves('tensorboard', folder, done=0): pass",
        "",
    ),
    "text": (
        "from variate.models.encoder import Encoder\n(folder / 'config.json').write_text('{}')\n"
        "Encoder((4, 1), 2, details={'words': []}, path=str(folder))",
        "UsageError: cannot read the encoder",
    ),
    "trackio": ("from variate.training.loggers import to_trackio\nwith to_trackio(folder, 'a', 0): pass", ""),
    "wandb": (
        "import os\nos.environ['WANDB_MODE'] = 'offline'\n"
        "from variate.training.loggers import to_wandb\nwith to_wandb(folder, 'a', 0): pass",
        "",
    ),
}
SCRIPT = """
import importlib.machinery, importlib.metadata, json, os, sys, tempfile, warnings
from pathlib import Path
uses, hidden = json.load(sys.stdin)
now = hidden[""]
finder, distribution = importlib.machinery.PathFinder, importlib.metadata.Distribution
find, named = finder.find_spec, distribution.from_name
def found(name, *rest, **options):
    spec = find(name, *rest, **options)
    if spec is None or name not in now["modules"]:
        return spec
    place = spec.origin or list(spec.submodule_search_locations)[0]
    return None if f"site-packages/{name}" in place else spec  # a copy that another library brings stays
def distributed(name):
    if name.lower().replace("_", "-") in now["packages"]:
        raise importlib.metadata.PackageNotFoundError(name)
    return named(name)
finder.find_spec, distribution.from_name = found, distributed
warnings.simplefilter("ignore")
import torch, variate
net, x = variate.randomize(torch.nn.Linear(4, 3)), torch.rand(2, 4)
for extra, code in uses.items():
    for there in (False, True):  # a process of its own each, so that nothing is imported already
        if os.fork() == 0:
            now, said = hidden[extra if there else ""], ""
            with tempfile.TemporaryDirectory() as name:
                try:
                    exec(code, {"variate": variate, "net": net, "x": x, "folder": Path(name)})
                except Exception as error:
                    said = f"{type(error).__name__}: {error}"
            os.write(3, (json.dumps([extra, there, said]) + "\\n").encode())
            os._exit(0)
        os.wait()
"""


def plain(name):
    """A package's name, as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def needed(lines):
    """The installed packages that these requirements bring, those of their own requirements included."""
    found, waiting = set(), [(requirements.Requirement(line), "") for line in lines]
    seen = set()
    while waiting:
        one, extra = waiting.pop()
        if (str(one), extra) in seen or (one.marker and not one.marker.evaluate({"extra": extra})):
            continue
        seen.add((str(one), extra))
        try:
            below = requires(one.name) or []
        except PackageNotFoundError:
            continue
        found.add(plain(one.name))
        waiting += [(requirements.Requirement(line), wish) for line in below for wish in ("", *one.extras)]
    return found


def hidden_for(extra):
    """Every module and package that neither Variate nor the extra asks for."""
    allowed = needed([*PROJECT["dependencies"], *EXTRAS.get(extra, [])]) | {"variate"}
    tops = {top: set(map(plain, names)) for top, names in packages_distributions().items()}
    return {
        "modules": [top for top, names in tops.items() if not names & allowed],
        "packages": sorted(set().union(*tops.values()) - allowed),
    }


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each use said, without and with its extra."""
    path = tmp_path_factory.mktemp("extras") / "said.jsonl"
    given = json.dumps([{extra: code for extra, (code, _) in USES.items()}, {one: hidden_for(one) for one in USES}])
    with path.open("wb") as file:
        words = ["bash", "-c", f'exec "$0" "$@" 3>&{file.fileno()}', sys.executable, "-c", SCRIPT]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(
            words, input=given, capture_output=True, text=True, env=environment, pass_fds=[file.fileno()]
        )
    assert done.returncode == 0, done.stderr
    return {(extra, there): text for extra, there, text in map(json.loads, path.read_text().splitlines())}


def test_every_extra_has_a_use_here():
    assert set(USES) - {""} == set(EXTRAS) - WORKSHOP


@pytest.mark.parametrize("extra", USES)
def test_an_extra_needs_no_other(said, extra):
    asked = EXTRAS.get(extra, [])
    missing = {plain(requirements.Requirement(line).name) for line in asked} - needed(asked)
    if missing:
        pytest.skip(f"{', '.join(sorted(missing))} not installed")
    expected = USES[extra][1]
    assert re.search(expected, said[extra, True]) if expected else said[extra, True] == ""


@pytest.mark.parametrize("extra", [extra for extra in USES if extra])
def test_where_an_extra_is_not_installed_the_error_names_it(said, extra):
    assert said[extra, False].startswith("UsageError: ")
    assert re.search(rf"pip install ['\"]variate\[{extra}\]['\"]", said[extra, False])


def test_every_extra_that_code_names_is_one_of_the_project():
    sources = "\n".join(path.read_text() for path in (Path(__file__).parents[2] / "src").rglob("*.py"))
    named = set(re.findall(r"variate\[([a-z]+)\]", sources))
    asked = set(re.findall(r'imported\([^()]+, "(\w+)"\)', sources))
    assert named | asked == set(EXTRAS) - WORKSHOP
