"""Whether the rest of the batch decides: asked of every network, and said as a flag and a warning, or refused."""

import warnings

import pytest
import torch
from torch import nn

from variate.errors import BatchWarning, InputError
from variate.evaluation.claims import look_at
from variate.evaluation.evaluate import evaluate
from variate.flags.raise_flags import raised
from variate.random.randomize import randomize
from variate.records.file import Records
from variate.testing.coin import Coin, shared_coin

X = torch.rand(12, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(12) % 2
FLAG = "answers-depend-on-the-batch"


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.head = function, nn.Linear(6, 2)

    def forward(self, x):
        return self.head(self.function(x))


def attention():
    return nn.TransformerEncoderLayer(6, 2, 8, batch_first=False)  # (B, D) is one sequence of B words


COUPLED = {
    "batch norm in train mode": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)).train(),
    "batch norm without statistics": lambda: nn.Sequential(
        nn.BatchNorm1d(6, track_running_stats=False), nn.Linear(6, 2)
    ).eval(),
    "largest of the batch": lambda: Function(lambda x: x / x.amax()),
    "functional batch norm": lambda: Function(lambda x: nn.functional.batch_norm(x, None, None, training=True)),
    "size of the batch": lambda: Function(lambda x: x + len(x)),
    "refuses one alone": lambda: Function(lambda x: x.unflatten(0, (-1, 2)).flatten(0, 1) if len(x) == 1 else x),
    "attention over the batch": lambda: nn.Sequential(attention(), nn.Linear(6, 2)).eval(),
    "noise as large as the batch": lambda: Function(lambda x: x + x.std() * torch.randn_like(x)),
    "random, with batch norm": lambda: randomize(nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)).train()),
}
ALONE = {
    "linear": lambda: nn.Linear(6, 2),
    "batch norm in eval mode": lambda: nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)).eval(),
    "dropout": lambda: nn.Sequential(nn.Dropout(0.5), nn.Linear(6, 2)).train(),
    "random": lambda: randomize(nn.Sequential(nn.Linear(6, 30), nn.ReLU(), nn.Linear(30, 2))),
    "coin": Coin,
    "shared coin": shared_coin,
    "half precision": lambda: nn.Sequential(nn.Linear(6, 300), nn.Tanh(), nn.Linear(300, 2)).bfloat16(),
    "attention over words": lambda: nn.Sequential(
        nn.Unflatten(1, (3, 2)), nn.TransformerEncoderLayer(2, 1, 8, batch_first=True), nn.Flatten(), nn.Linear(6, 2)
    ).eval(),
    "masked classes": lambda: Masked(),
}


class Masked(nn.Module):
    def forward(self, x):
        return torch.cat([x[:, :2], torch.full_like(x[:, :1], -torch.inf)], 1)


@pytest.mark.parametrize("case", COUPLED)
def test_a_network_whose_answers_depend_on_the_batch_is_flagged(case):
    torch.manual_seed(0)
    records = Records()
    with pytest.warns(BatchWarning, match="depend on the batch") as heard:
        evaluate(
            COUPLED[case](), X, Y, budget="linf:0.1", attacks=["fgsm"], draws=2, verdict_draws=4,
            deployments=["single"], records=records, modality="tabular",
        )  # fmt: skip
    assert heard[0].filename == __file__
    flag = next(flag for flag in raised(records) if flag.flag == FLAG)
    assert ("eval() first" in flag.findings[0]) == ("norm in train" in case or case.startswith("random"))


@pytest.mark.parametrize("case", ALONE)
def test_a_network_whose_answers_do_not_is_not_flagged(case):
    torch.manual_seed(0)
    assert look_at(ALONE[case](), X).coupled is None


def test_one_example_says_nothing_of_the_batch_and_is_judged():
    assert look_at(nn.Linear(6, 2), X[:1]).coupled is None


def test_batch_norm_that_has_learned_is_refused_in_train_mode():
    network = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2)).train()
    network(X)
    with pytest.raises(InputError, match=r"batch norm '0' is in train mode"):
        evaluate(network, X, Y, budget="linf:0.1", attacks=[], modality="tabular")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        evaluate(network.eval(), X, Y, budget="linf:0.1", attacks=[], modality="tabular")
    network.train()[0].track_running_stats = False  # used with the statistics of the batch on purpose
    with pytest.warns(BatchWarning):
        evaluate(network, X, Y, budget="linf:0.1", attacks=[], modality="tabular")
