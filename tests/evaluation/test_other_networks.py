"""Networks and arguments that other people bring: the right number, or an error that says what to do."""

import pytest
import torch
from torch import nn

from variate.errors import GradientError, InputError, UsageError
from variate.evaluation.evaluate import evaluate
from variate.evaluation.judge import judge_until
from variate.inputs.validation import checked_logits
from variate.integrations.torchmetrics import DrawAccuracy
from variate.random.seeding import input_type

X = torch.rand(8, 16, generator=torch.Generator().manual_seed(0))
Y = torch.arange(8) % 4


class Head(nn.Module):
    """A linear network whose output is changed on the way out."""

    def __init__(self, change=lambda out, x: out, before=lambda x: x):
        super().__init__()
        torch.manual_seed(0)
        self.head, self.change, self.before = nn.Linear(16, 4), change, before

    def forward(self, x):
        return self.change(self.head(self.before(x)), x)


class Answer:
    def __init__(self, logits):
        self.logits = logits


def rates(network, x=X, y=Y, **options):
    options = {"attacks": ["fgsm"], "deployments": ["single"], "budget": "linf:0.3"} | options
    return [row.rate for row in evaluate(network, x, y, **options).rows]


@pytest.mark.parametrize(
    "change",
    [
        lambda out, x: Answer(out),
        lambda out, x: {"logits": out, "loss": None},
        lambda out, x: out.double(),
        lambda out, x: torch.cat([out, torch.full_like(out, -torch.inf)], 1),
    ],
    ids=["logits of an object", "logits of a dict", "doubles", "masked"],
)
def test_logits_are_found_where_they_are(change):
    assert rates(Head(change)) == rates(Head())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda out, x: (out, out), r"returned tuple of 2.*network\(x\)\[0\]"),
        (lambda out, x: {"out": out}, r"returned dict with the keys out.*network\(x\)\['...'\]"),
        (lambda out, x: out[:, 0], "binary answer.*two logits"),
        (lambda out, x: out[:, :1], "binary answer.*two logits"),
        (lambda out, x: out > 0, "real numbers"),
        (lambda out, x: out / 0, "infinite|NaN"),
        (lambda out, x: out - torch.inf, "minus infinity for every class"),
    ],
)
def test_other_outputs_are_refused_with_the_way_to_mend_them(change, words):
    with pytest.raises(InputError, match=f"(?s){words}"):
        rates(Head(change))


@pytest.mark.parametrize("error", [RuntimeError, ValueError, AssertionError, TypeError, IndexError, EOFError])
def test_an_error_of_the_networks_own_code_shows_its_line(error):
    def refuse(out, x):
        raise error("8 * 8 instead of 16 * 16")

    with pytest.raises(InputError, match=r"8 \* 8 instead") as raised:
        rates(Head(refuse))
    assert "raise error(" in raised.value.findings[0]
    assert __file__ in raised.value.findings[0]
    assert isinstance(raised.value.__cause__, error)


class First(nn.Module):
    """A network that casts its inputs itself, behind a parameter of another type."""

    def __init__(self, first, inside=torch.float32):
        super().__init__()
        self.first, self.inside = nn.Parameter(first, requires_grad=False), inside
        torch.manual_seed(0)
        self.head = nn.Linear(16, 4).to(inside)

    def forward(self, x):
        assert x.dtype == torch.float32
        return self.head(x.to(self.inside)).float()


@pytest.mark.parametrize("first", [torch.half, torch.int8, torch.double, torch.cfloat], ids=str)
def test_the_first_parameter_does_not_decide_on_the_type(first):
    assert rates(First(torch.ones(1).to(first))) == rates(Head())
    rates(First(torch.ones(1).to(first), torch.bfloat16))


def test_the_type_follows_the_network():
    network = Head()
    assert input_type(network, X) == torch.float32
    assert input_type(network.half(), X) == torch.float16
    assert input_type(network.double(), X) == torch.float64
    assert input_type(network.float(), X.double()) == torch.float32


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
def test_inputs_of_another_type_than_the_networks(dtype):
    for found in (rates(Head(), X.to(dtype)), rates(Head().to(dtype), X)):
        assert found == pytest.approx(rates(Head()), abs=0.13)  # 16 bits may move one of eight over a boundary


def test_a_default_type_of_doubles():
    torch.set_default_dtype(torch.float64)
    try:
        attacks = ["pgd", "fmn(steps=10)", "square(queries=30)", "nes(queries=120)", "apgd-ce(steps=5)"]
        assert len(rates(Head().float(), attacks=attacks)) == 6
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": 2.5}, "batch_size is 2.5"),
        ({"verdict_draws": True}, "verdict_draws is True"),
        ({"seed": "a"}, "seed is 'a'"),
        ({"time_limit": float("nan")}, "time_limit is nan"),
        ({"shard": (0, 0)}, "shard is"),
        ({"shard": (5, 2)}, "shard is"),
        ({"deployments": []}, "deployments is"),
        ({"deployments": "single"}, "deployments is"),
        ({"attacks": ["pgd(step_size=-1)"]}, "pgd cannot take step_size=-1"),
    ],
)
def test_an_argument_without_a_sense_is_refused(given, words):
    with pytest.raises(UsageError, match=words):
        rates(Head(), **given)


def test_a_function_is_no_network():
    with pytest.raises(UsageError, match="the network is a function"):
        rates(lambda x: x)
    with pytest.raises(UsageError, match="the network is a function"):
        judge_until(lambda x: x, X, Y, width=0.5)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.int16, torch.int32])
def test_labels_of_every_integer_type(dtype):
    assert rates(Head(), y=Y.to(dtype)) == rates(Head())
    assert rates(Head(), y=torch.tensor(1).expand(8)) == rates(Head(), y=torch.ones(8, dtype=torch.long))


LABELS = {
    "(B, 1)": Y[:, None],
    "one-hot": nn.functional.one_hot(Y),
    "several": torch.ones(8, 4, dtype=torch.long),
    "one": Y[:1],
    "negative": Y - 9,
    "too large": Y + 9,
    "floats": Y + 0.7,
}


@pytest.mark.parametrize("name", LABELS)
def test_labels_that_do_not_fit_are_refused_everywhere(name):
    with pytest.raises(InputError, match="label"):
        judge_until(Head(), X, LABELS[name], width=0.9)
    with pytest.raises(InputError, match="label"):
        rates(Head(), y=LABELS[name])
    with pytest.raises(InputError, match="label"):
        DrawAccuracy().update(torch.rand(2, 8, 4), LABELS[name])


def test_what_judge_until_and_draw_accuracy_take_for_inputs():
    with pytest.raises(InputError, match="ranges from"):
        judge_until(Head(), 255 * X, Y, width=0.9)
    with pytest.raises(InputError, match="at least one example"):
        judge_until(Head(), X[:0], Y[:0], width=0.9)
    with pytest.raises(UsageError, match="a width"):
        judge_until(Head(), X, Y, width=float("nan"))
    with pytest.raises(InputError, match="NaN"):
        DrawAccuracy().update(torch.full((2, 8, 4), float("nan")), Y)
    assert judge_until(Head(), X, Y.to(torch.uint16), width=0.9).rate.rate == rates(Head())[0]


class Still(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = Head()

    def forward(self, x):
        with torch.no_grad():
            return self.inner(x)


BLIND = {
    "no_grad": Still(),
    "detach": Head(before=lambda x: x.detach()),
    "rounds": Head(lambda out, x: out.detach().round()),
    "nan": Head(lambda out, x: out + (0 * x[:, :1]).sqrt()),
}


@pytest.mark.parametrize("trainable", [False, True])
@pytest.mark.parametrize("name", BLIND)
def test_no_gradient_is_an_error_by_name(name, trainable):
    network = BLIND[name].requires_grad_(trainable)
    with pytest.raises(GradientError, match="gradient"):
        rates(network, attacks=["pgd"])


def test_a_suite_runs_what_it_can_and_says_what_it_left_out():
    result = evaluate(Still(), X, Y, budget="linf:0.1", attacks=[], suite="quick", deployments=["single"])
    assert result.rows[-1].rate <= result.rows[0].rate
    (note,) = result.notes
    assert "has no gradient to follow: quick left out fgsm (" in note
    assert note in str(result)


def test_inference_mode_and_no_grad_around_an_evaluation_change_nothing():
    expected = rates(Head(), attacks=["pgd"])
    network = Head()
    with torch.no_grad():
        assert rates(network, attacks=["pgd"]) == expected
    with torch.inference_mode():
        assert rates(network, X.clone(), attacks=["pgd"]) == expected
        made = Head()
    with pytest.raises(GradientError, match="inference mode"):
        rates(made, attacks=["pgd"])


def test_python_shows_the_flags():
    flat = Head(lambda out, x: out.detach() + 0 * x.sum())
    result = evaluate(flat, X, Y, budget="linf:0.1", attacks=["pgd"], deployments=["single"])
    assert "zero-gradients" in [flag.flag for flag in result.flags]
    assert "warning: zero-gradients\n  100% of the gradients that pgd followed were zero everywhere" in str(result)


def test_half_precision_is_widened_and_doubles_stay():
    for dtype, expected in ((torch.float16, torch.float32), (torch.float64, torch.float64)):
        assert checked_logits(torch.rand(8, 3, dtype=dtype), X).dtype == expected
