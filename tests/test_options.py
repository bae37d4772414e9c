"""Names with options: quotes, commas, and text that looks like a number."""

import json

import pytest

from variate.datasets.load import registered
from variate.errors import UsageError
from variate.evaluation.plan import Plan
from variate.options import parse, written


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("n(path='a, b.csv')", "a, b.csv"),
        ('n(path="it\'s (1), new.csv")', "it's (1), new.csv"),
        ("n(path='2024')", "2024"),
        ("n(path='true')", "true"),
        ("n(path=2024)", 2024.0),
        ("n(path=it's)", "it's"),
        ("n(path='')", ""),
        ("n(path=true)", True),
    ],
)
def test_what_is_quoted_is_text(text, value):
    assert parse(text, "a thing") == ("n", {"path": value})
    assert type(parse(text, "a thing")[1]["path"]) is type(value)
    assert parse(written("n", {"path": value, "k": 3.0}), "a thing")[1] == {"path": value, "k": 3.0}


def test_several_options_with_commas_in_some():
    assert parse("n(a='1, 2', b=3,c=\"x, y\")", "a thing")[1] == {"a": "1, 2", "b": 3.0, "c": "x, y"}
    with pytest.raises(UsageError, match="'b' of n has no value"):
        parse("n(a='1, 2', b)", "a thing")


def test_what_a_function_takes_as_text_stays_text():
    def function(*, path: str, maybe: "str | None" = None, size: int = 1, either: "str | int" = 0):
        """Nothing."""

    text = "n(path=2024, maybe=true, size=3, either=4)"
    assert parse(text, "a thing", function)[1] == {"path": "2024", "maybe": "true", "size": 3.0, "either": 4.0}


def test_data_sets_take_text_that_looks_like_a_number():
    _, options = registered("texts(neighbors=2024, length=7)")
    assert options == {"neighbors": "2024", "length": 7}


def test_lists_of_words_may_have_a_comma_in_their_path(tmp_path):
    _, options = registered(f"texts(neighbors='{tmp_path / 'first, second.json'}')")
    assert options["neighbors"] == str(tmp_path / "first, second.json")


def test_attacks_take_quoted_options():
    plan = Plan.of("pgd(steps=3, average='logits')", 2)
    assert (json.dumps(plan.options), plan.average) == ('{"steps": 3}', "logits")
