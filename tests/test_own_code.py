import pytest

from variate.cli.evaluation_command import build
from variate.errors import UsageError
from variate.own_code import lines_of, running
from variate.registry import import_callable

MINE = """
def wrong_type():
    return len(3)

def cut_file():
    raise EOFError("Ran out of input")

def needs(one):
    return one

def number():
    return 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine_raises.py").write_text(MINE)
    (tmp_path / "mine_breaks.py").write_text("import json\njson.loads('{')\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.parametrize(
    ("name", "problem", "line"),
    [
        ("wrong_type", "failed: TypeError: object of type 'int'", "return len(3)"),
        ("cut_file", "failed: EOFError: Ran out of input", "raise EOFError"),
        ("needs", "cannot be called without arguments", None),
        ("number", "returned int", None),
    ],
)
def test_an_error_of_the_users_function_shows_his_line(mine, name, problem, line):
    with pytest.raises(UsageError, match=problem) as raised:
        build(f"mine_raises:{name}")
    found = "".join(raised.value.findings)
    assert (line in found and "mine_raises.py:" in found) if line else not found


def test_an_error_while_the_users_file_is_imported_shows_his_line(mine):
    with pytest.raises(UsageError, match="cannot import 'mine_breaks': JSONDecodeError") as raised:
        import_callable("mine_breaks:build")
    assert "mine_breaks.py:2" in raised.value.findings[0]


def test_errors_of_ours_pass_and_built_in_code_has_no_line():
    with pytest.raises(UsageError, match=r"^known$"), running("mine"):
        raise UsageError("known")
    assert lines_of(ValueError("never raised")) == []
