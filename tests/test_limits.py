import inspect
from typing import Annotated, Literal, get_type_hints

import pytest

from variate import registry
from variate.errors import UsageError
from variate.evaluation.plan import Plan
from variate.limits import Count, Limits, Momentum, Positive, check_options, limited

ATTACKS = registry.entries("attacks")
SENSELESS = (-1, 0.5, float("nan"), float("inf"), "many", True, None, [], 1e9)


@limited
def search(
    x,
    *,
    steps: Count = 1,
    size: Positive | None = None,
    momentum: Momentum = 0.5,
    samples: Annotated[int, Limits(at_least=2, multiple_of=2)] = 2,
    basis: Literal["pixel", "dct"] = "pixel",
    start: bool = True,
):
    return x


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"steps": 0}, "steps: a whole number of at least 1"),
        ({"steps": 1.5}, "a whole number"),
        ({"steps": True}, "a whole number"),
        ({"size": -0.1}, "size: a number above 0"),
        ({"size": float("nan")}, "a number above 0"),
        ({"size": float("inf")}, "a number above 0"),
        ({"momentum": 1.0}, "a number of at least 0 and below 1"),
        ({"samples": 7}, "a whole number of at least 2 and divisible by 2"),
        ({"basis": "fourier"}, "pixel or dct"),
        ({"start": "no"}, "true or false"),
    ],
)
def test_an_option_beyond_its_annotation_is_refused(options, expected):
    with pytest.raises(UsageError, match="search cannot take") as raised:
        search(0, **options)
    assert expected in raised.value.expected


def test_every_finding_is_told_and_the_signature_stays():
    with pytest.raises(UsageError, match="steps=0, basis='fourier'"):
        check_options(search, {"steps": 0, "basis": "fourier"})
    assert search(3, steps=2, size=None, momentum=0.0, samples=4, basis="dct", start=False) == 3
    assert list(inspect.signature(search).parameters)[:2] == ["x", "steps"]


def test_names_for_type_checkers_alone_are_no_limits():
    def foreign(*, steps: "Unknown" = 1):  # noqa: F821
        return steps

    assert limited(foreign)(steps="any") == "any"


@pytest.mark.parametrize("name", ATTACKS)
def test_each_number_of_an_attack_has_its_limits(name):
    function = ATTACKS[name].load()
    hints = get_type_hints(function, include_extras=True)
    for option, parameter in inspect.signature(function).parameters.items():
        if parameter.kind is not parameter.KEYWORD_ONLY or isinstance(parameter.default, bool | str | type(None)):
            continue
        if isinstance(parameter.default, int | float):
            assert hasattr(hints[option], "__metadata__"), f"{option} of {name} has no limits"


@pytest.mark.parametrize("name", [name for name, entry in ATTACKS.items() if not entry.facts["variants"]])
def test_a_senseless_option_is_refused_before_any_work(name):
    options = Plan(name, 1, {}).settings()
    for option, usual in options.items():
        if not isinstance(usual, int | float) or isinstance(usual, bool):
            continue
        for value in SENSELESS:
            try:
                kept = Plan.of({"name": name, option: value}, 1).options[option]
            except UsageError:
                continue
            assert type(kept) in (int, float), (option, value)
            assert 0 <= kept < float("inf"), (option, value)
