"""The path of one question stays short: how many of the package's own frames stand on the stack at once.

A frame counts if its code is in a file of the package: functions, methods, lambdas, properties, and generators while
they run. Comprehensions and generator expressions are part of the function that holds them (Python 3.12 has no frames
for most of them), and so are the bodies of classes; modules that are imported on the way do not count, and everything
is run once before it is watched.
"""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import variate
from variate.evaluation.evaluate import evaluate
from variate.oracle.white_box import GradientOracle
from variate.random.keys import Stream
from variate.random.randomize import randomize

PACKAGE = str(Path(variate.__file__).parent)
INNER = {"<listcomp>", "<dictcomp>", "<setcomp>", "<genexpr>", "<module>"}


class Watched:
    """Looks at every call while it is entered.

    Attributes:
        stack: the package's own frames where they stood deepest, the outermost first.
        functions: the package's own functions that ran.
    """

    def __init__(self):
        self.stack, self.functions = [], set()

    def __enter__(self):
        sys.setprofile(self._see)
        return self

    def __exit__(self, *_):
        sys.setprofile(None)

    def _see(self, frame, event, _argument):
        if event != "call" or not own(frame.f_code):
            return
        self.functions.add((frame.f_code.co_filename, frame.f_code.co_qualname))
        stack = []
        while frame is not None:
            if own(frame.f_code):
                stack.append(f"{Path(frame.f_code.co_filename).relative_to(PACKAGE)}: {frame.f_code.co_qualname}")
            frame = frame.f_back
        if len(stack) > len(self.stack):
            self.stack = stack[::-1]

    def __str__(self):
        files = len({file for file, _ in self.functions})
        head = f"{len(self.stack)} deep, {len(self.functions)} functions in {files} files; the deepest:"
        return "\n  ".join([head, *self.stack])


def own(code):
    return code.co_filename.startswith(PACKAGE) and code.co_name not in INNER


def watched(ask):
    ask()
    with Watched() as found:
        ask()
    print(found)  # noqa: T201
    return found


@pytest.fixture
def net():
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 3))
    return randomize(plain, scale=0.1).eval()


X, Y = torch.rand(30, 1, 4, 4, generator=torch.Generator().manual_seed(0)), torch.arange(30) % 3


def test_a_forward_pass_is_at_most_6_deep_in_8_files(net):
    found = watched(lambda: net(X))
    assert len(found.stack) <= 6, found
    assert len({file for file, _ in found.functions}) <= 8, found


@pytest.mark.parametrize("average", ["loss", "logits", "probability"])
@pytest.mark.parametrize("examples", [2, 30])  # in a group, and one by one
def test_one_gradient_is_at_most_8_deep(net, average, examples):
    oracle = GradientOracle(net, draws=5, stream=Stream("search", 0), kind="keyed", average=average)
    found = watched(lambda: oracle.gradient(X[:examples], Y[:examples]))
    assert len(found.stack) <= 8, found


def test_one_evaluation_is_at_most_14_deep(net):
    found = watched(
        lambda: evaluate(net, X, Y, budget="linf:8/255", attacks=["pgd"], draws=5, verdict_draws=40, seed=1)
    )
    assert len(found.stack) <= 14, found


def test_the_count_sees_functions_and_generators_but_no_comprehensions():
    def scope(tree):
        code = compile(tree, f"{PACKAGE}/made.py", "exec")
        exec(code, names := {})
        return names["asked"]

    asked = scope(
        "def inner(): return [leaf() for _ in range(2)]\n"
        "leaf = lambda: 1\n"
        "def numbers():\n    yield inner()\n"
        "def asked(): return [n for n in numbers()]\n"
    )
    found = watched(asked)
    assert [line.split(": ")[1] for line in found.stack] == ["asked", "numbers", "inner", "<lambda>"]
    assert len(found.functions) == 4
