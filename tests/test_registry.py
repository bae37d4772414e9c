import subprocess
import sys
from pathlib import Path

import pytest

import variate
from variate import registry
from variate.errors import UsageError
from variate.options import import_callable

KINDS = list(registry.SINGULAR)
ENTRIES = [(kind, name) for kind in KINDS for name in registry.entries(kind)]

ATTACK = '''
from variate.registry import attack

@attack(access="none", norms=("linf",), modality=("image",), cite="us")
def stay(oracle, x, y, *, budget):
    """Stays where it is.

    More.
    """
    return x
'''


@pytest.fixture
def fresh():
    registry.entries.cache_clear()
    yield
    registry.entries.cache_clear()


@pytest.fixture
def install(tmp_path, monkeypatch, fresh):
    """Install a distribution with one module and one entry point, in a folder on the path."""

    def made(module, source, target=None):
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / "thirdparty-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[variate.attacks]\nx = {target or module}:stay\n")
        monkeypatch.syspath_prepend(str(tmp_path))

    return made


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_facts_read_from_the_text_are_those_of_the_running_object(kind, name):
    entry = registry.get(kind, name)
    loaded = entry.load()
    assert loaded.__variate__ == {"kind": kind, **entry.facts}
    assert entry.summary == loaded.__doc__.strip().partition("\n")[0]
    assert entry.summary.endswith((".", ":"))
    assert (entry.module, entry.attribute) == (loaded.__module__, loaded.__name__)
    assert entry.as_json() == {"name": name, "summary": entry.summary, **entry.facts, "module": entry.module}


MACHINERY = {
    "certificates": {
        *("acceptance", "certifiable", "certification", "certified", "certify", "front", "judge_certified"),
        *("mechanism", "proof", "reading", "subject", "voting"),
    },
    "datasets": {"batches", "info", "load", "look", "splits"},
    "flags": {"evidence", "raise_flags"},
    "metrics": {"bootstrap", "choose", "measure", "metric", "responses"},
    "tasks": {"task"},
}


def folder_of(kind: str) -> Path:
    return Path(variate.__file__).parent / registry.FOLDERS.get(kind, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_the_stems_of_the_files(kind):
    stems = {path.stem for path in folder_of(kind).glob("*.py")} - MACHINERY.get(kind, set()) - {"__init__"}
    assert {name.replace("-", "_") for name in registry.entries(kind)} == stems
    assert stems


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_a_file_registers_one_entry(kind, name):
    text = folder_of(kind).joinpath(f"{name.replace('-', '_')}.py").read_text(encoding="utf-8")
    assert text.count(f"\n@{registry.SINGULAR[kind]}(") == 1


@pytest.mark.parametrize(("kind", "near", "name"), [("attacks", "pdg", "pgd"), ("defenses", "randm", "random")])
def test_an_unknown_name_lists_the_choices_and_the_nearest(kind, near, name):
    with pytest.raises(UsageError) as caught:
        registry.get(kind, near)
    assert caught.value.todo == f"did you mean {name!r}?"
    assert all(choice in caught.value.expected for choice in registry.entries(kind))


def test_an_unknown_kind_lists_the_kinds():
    with pytest.raises(UsageError, match="did you mean 'attacks'"):
        registry.entries("attack")


def test_listing_imports_no_torch():
    code = (
        "import sys; from variate import registry\n"
        "found = {kind: list(registry.entries(kind)) for kind in registry.SINGULAR}\n"
        "assert all(found.values())\n"
        "assert not {'torch', 'lightning_fabric', 'sklearn', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_third_party_entry_appears_and_loads(install):
    install("stay_put", ATTACK)
    entry = registry.get("attacks", "stay-put")
    assert "stay_put" not in sys.modules  # listed from its text alone
    assert (entry.summary, entry.module, entry.attribute) == ("Stays where it is.", "stay_put", "stay")
    told = {"access": "none", "norms": ("linf",), "modality": ("image",), "cite": "us"}
    assert entry.facts == {**told, "targeted": False, "minimal": False, "quick": {}, "variants": {}, "tasks": ()}
    assert entry.load()(None, 1, 2, budget=None) == 1
    assert list(registry.entries("attacks"))[-1] == "stay-put"


@pytest.mark.parametrize(
    ("module", "source", "target", "message"),
    [
        ("stay_put", "def stay():\n    pass\n", None, "registers no attack"),
        ("stay_put", ATTACK.replace("@attack", "@family"), None, "registers no attack"),
        ("stay_put", ATTACK.replace('"none"', "ACCESS"), None, "literals"),
        ("stay_put", "def stay(:\n", None, "stay_put"),
        ("fgsm", ATTACK, None, "two attacks are named 'fgsm'"),
        ("stay_put", ATTACK, "elsewhere", "has no source file"),
        ("stay_put", ATTACK, "elsewhere.inside", "has no source file"),
    ],
)
def test_a_third_party_file_that_cannot_be_read_is_named(install, module, source, target, message):
    install(module, source, target)
    with pytest.raises(UsageError) as caught:
        registry.entries("attacks")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.at_all:build", "cannot import 'nowhere.at_all'"),
        ("math:nothing", "no callable named 'nothing'"),
        ("math:pi", "no callable named 'pi'"),
        ("math", "no callable named ''"),
    ],
)
def test_a_users_callable_that_cannot_be_found(path, message):
    with pytest.raises(UsageError, match=message):
        import_callable(path)


def test_a_users_callable():
    assert import_callable("math:sqrt")(4) == 2


SOURCE = "import beside_it\n\ndef network():\n    return beside_it.VALUE\n"


def test_code_may_be_named_by_its_file(tmp_path, monkeypatch):
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "mine_by_file.py").write_text(SOURCE)
    (folder / "beside_it.py").write_text("VALUE = 3\n")
    monkeypatch.chdir(folder)
    for path in ("mine_by_file.py:network", "./mine_by_file.py:network", f"{folder}/mine_by_file.py:network"):
        assert import_callable(path)() == 3


@pytest.mark.parametrize(
    ("path", "message", "todo"),
    [
        ("none_here.py:network", "there is no file none_here.py", None),
        ("../mine_net:network", "'../mine_net' is neither a module nor a file", "mine_net:network for a module"),
        ("./mine_net:network", "'./mine_net' is neither a module nor a file", "./mine_net.py:network for a file"),
        (":network", "'' is not the name of a module", None),
        ("..mine:network", "'..mine' is not the name of a module", None),
    ],
)
def test_a_path_that_is_no_module_says_what_to_write(path, message, todo):
    with pytest.raises(UsageError) as error:
        import_callable(path)
    assert message in str(error.value)
    assert todo is None or todo in error.value.todo
