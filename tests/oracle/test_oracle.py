import pytest
import torch
from torch import nn
from torch.nn import functional as F

from variate.errors import GradientError, InputError, RepeatedDrawsError, UsageError
from variate.evaluation import evaluate as evaluation
from variate.oracle import losses
from variate.oracle.losses import cross_entropy
from variate.oracle.memory import footprint
from variate.oracle.oracle import LabelOracle, Oracle, ScoreOracle
from variate.oracle.repeated_draws import PATIENCE
from variate.oracle.white_box import ORACLES, GradientOracle
from variate.random import seeding as keyed
from variate.random.average import mean_log_probabilities
from variate.random.keys import STREAMS, Stream, stream_of
from variate.random.randomize import randomize
from variate.testing.coin import Coin, shared_coin


class Repeater(nn.Module):
    """Looks random, and reseeds inside its forward: every draw is the same draw."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(16, 3)

    def forward(self, x):
        torch.manual_seed(0)
        return self.layer(x.flatten(1)) + torch.randn(3)


class Returns(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, x):
        return self.output(x)


def search(seed=0):
    return Stream("search", seed)


def still(net):
    """The same network with scales of zero."""
    with torch.no_grad():
        for scale in net.scale_parameters():
            scale.fill_(-1e4)
    return net


@pytest.fixture
def keys_used(monkeypatch, fixed_keys):
    """Every key under which any network computes, by whichever road."""
    used, under = fixed_keys, keyed._under
    monkeypatch.setattr(keyed, "_under", lambda *found: used.append(found[-1]) or under(*found))
    return used


def test_access_is_what_there_is():
    asks = {"labels", "scores", "gradient"}
    held = {access: asks & set(dir(kind)) for access, kind in ORACLES.items()}
    assert held == {
        "none": set(),
        "labels": {"labels"},
        "scores": {"labels", "scores"},
        "gradient": asks,
    }
    assert not hasattr(LabelOracle, "gradient")
    assert not hasattr(LabelOracle, "scores")
    assert not hasattr(ScoreOracle, "gradient")


@pytest.mark.parametrize("count", [1, 4])
def test_the_gradient_is_that_of_the_mean_loss_over_the_draws(count, net, x, y):
    oracle = GradientOracle(net, draws=count, stream=search())
    value, slope = oracle.gradient(x, y)
    leaf = x.clone().requires_grad_()
    losses = torch.stack([F.cross_entropy(net.at(key)(leaf), y, reduction="none") for key in search().take(count)])
    losses.mean(0).sum().backward()
    assert torch.allclose(value, losses.mean(0), atol=1e-6)
    assert torch.allclose(slope, leaf.grad, atol=1e-6)
    assert not value.requires_grad
    assert not slope.requires_grad


def test_the_attackers_own_loss_is_used(net, x, y):
    value, slope = GradientOracle(net, draws=2, stream=search()).gradient(x, y, loss=lambda logits, y: logits[:, 0])
    leaf = x.clone().requires_grad_()
    mean = torch.stack([net.at(key)(leaf)[:, 0] for key in search().take(2)]).mean(0)
    mean.sum().backward()
    assert torch.allclose(value, mean, atol=1e-6)
    assert torch.allclose(slope, leaf.grad, atol=1e-6)


def test_scores_and_labels_are_those_of_the_draws(net, x):
    with torch.no_grad():
        logits = torch.stack([net.at(key)(x) for key in search().take(5)])  # (S, B, K)
    scores = ScoreOracle(net, draws=5, stream=search()).scores(x)
    assert torch.allclose(scores, mean_log_probabilities(logits), atol=1e-6)
    assert torch.allclose(scores.exp().sum(1), torch.ones(len(x)), atol=1e-5)
    labels = LabelOracle(net, draws=5, stream=search()).labels(x)
    assert torch.equal(labels, logits.argmax(-1).mode(0).values)


@pytest.mark.parametrize(
    ("count", "kind", "passes"), [(1, None, 1), (7, None, 7), (7, "keyed", 7), (7, "deterministic", 1)]
)
def test_counts_are_exact(count, kind, passes, net, mlp, x, y):
    network = mlp if kind == "deterministic" else net
    oracle = GradientOracle(network, draws=count, stream=search(), kind=kind)
    asked = []
    network.register_forward_hook(lambda *_: asked.append(1))
    for ask, forwards, backwards in (
        (lambda: oracle.gradient(x, y), 1, 1),
        (lambda: oracle.scores(x), 2, 1),
        (lambda: oracle.labels(x), 3, 1),
        (lambda: oracle.coins(x), 3, 1),
    ):
        ask()
        assert oracle.queries.forwards.tolist() == [passes * forwards] * len(x)
        assert oracle.queries.backwards.tolist() == [passes * backwards] * len(x)
        assert oracle.queries.points.tolist() == [forwards] * len(x)
    assert len(asked) == 3 * passes


def test_the_draws_of_a_query_and_of_two_queries_differ(net, x, keys_used):
    oracle = ScoreOracle(net, draws=6, stream=search())
    one, two = oracle.scores(x), oracle.scores(x)
    assert not torch.equal(one, two)
    assert len(set(keys_used)) == 12
    assert {stream_of(key) for key in keys_used} == {"search"}


@pytest.mark.parametrize("reuse", ["fresh", "fixed", "one"])
def test_the_keys_of_a_query_follow_from_its_number(reuse, net, x, keys_used):
    asked, skipped = (ScoreOracle(net, draws=3, stream=search(), keys=reuse) for _ in range(2))
    for _ in range(4):
        asked.scores(x)
    expected = keys_used[-len(keys_used) // 4 :]
    skipped.scores(x)
    keys_used.clear()
    skipped.skip(2)
    skipped.scores(x)
    assert keys_used == expected


@pytest.mark.parametrize(
    "make",
    [lambda net: net, lambda net: Coin(0.5, classes=3), lambda net: nn.Sequential(nn.Flatten(), nn.Dropout()).train()],
)
def test_search_and_verdict_never_share_a_key(make, net, x, y, keys_used):
    network = make(net)
    evaluation.evaluate(
        network, x, y, budget="linf:0.1", attacks=["fgsm", {"name": "pgd", "steps": 3}], draws=3,
        deployments=["single", "mean-2"], verdict_draws=8,
    )  # fmt: skip
    by_stream = {name: {key for key in keys_used if stream_of(key) == name} for name in STREAMS}
    assert len(by_stream["search"]) == 3 * 3  # the attacks begin the stream anew: three steps of three draws
    assert len(by_stream["verdict"]) == 8
    assert by_stream["search"].isdisjoint(by_stream["verdict"])
    others = by_stream["probe"] | by_stream["serve"]  # looks at what the network returns, before any attack
    assert set(keys_used) == by_stream["search"] | by_stream["verdict"] | others


def test_the_verdicts_stream_cannot_guide_a_search(net):
    for kind in ORACLES.values():
        with pytest.raises(UsageError, match="cannot guide a search"):
            kind(net, stream=Stream("verdict", 0))


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "3"])
def test_draws_that_cannot_be_averaged(count, net):
    with pytest.raises(UsageError, match="cannot average over"):
        Oracle(net, draws=count, stream=search())


@pytest.mark.parametrize("ask", ["scores", "labels", "gradient"])
def test_a_network_that_repeats_its_draws_is_found_out(ask, x, y):
    oracle = GradientOracle(Repeater(), draws=3, stream=search())
    function = (lambda: oracle.gradient(x, y)) if ask == "gradient" else (lambda: getattr(oracle, ask)(x))
    for _ in range(PATIENCE - 1):
        function()
    with pytest.raises(RepeatedDrawsError, match="3 draws of Repeater"):
        function()


def test_scales_of_zero_are_found_out_at_once(net, x, y):
    with pytest.raises(RepeatedDrawsError, match="are all the same"):
        GradientOracle(still(net), draws=2, stream=search()).gradient(x, y)


@pytest.mark.parametrize("make", [lambda: Coin(0.05), lambda: shared_coin(1e-6)])
def test_a_network_that_differs_rarely_is_believed(make, x):
    oracle = ScoreOracle(make(), draws=20, stream=search())
    for _ in range(2 * PATIENCE):
        oracle.scores(x)


def test_one_draw_cannot_repeat(net, x):
    ScoreOracle(still(net), draws=1, stream=search()).scores(x)


BAD = {
    "nan": (lambda x: x.flatten(1)[:, :3] * float("nan"), "NaN logits"),
    "one row": (lambda x: x.flatten(1)[0], "returned"),
    "images": (lambda x: x, "returned"),
    "other batch": (lambda x: x.flatten(1)[:-1], "returned"),
    "tuple": (lambda x: (x.flatten(1),), "returned tuple"),
    "cut": (lambda x: x.detach().flatten(1)[:, :3], "does not depend on its input"),
    "label": (lambda x: F.one_hot(x.flatten(1)[:, :3].argmax(1), 3).float(), "does not depend on its input"),
}


@pytest.mark.parametrize("case", BAD)
def test_outputs_that_cannot_be_attacked(case, x, y):
    output, message = BAD[case]
    with pytest.raises(InputError, match=message):
        GradientOracle(Returns(output), stream=search(), kind="deterministic").gradient(x, y)


@pytest.mark.parametrize("kind", ["labels", "scores", "gradient"])
def test_a_nan_network_is_refused_by_every_oracle(kind, net, x, y):
    with torch.no_grad():
        net[1].bias.fill_(float("nan"))
    oracle = ORACLES[kind](net, draws=2, stream=search())
    with pytest.raises(InputError, match="NaN"):
        oracle.gradient(x, y) if kind == "gradient" else getattr(oracle, kind)(x)


@pytest.mark.parametrize("trainable", [False, True])  # a gradient of the parameters is none of the inputs
@pytest.mark.parametrize("average", ["loss", "logits", "probability"])
def test_a_network_that_detaches_its_input_has_no_gradient(average, trainable, net, x, y):
    network = Returns(lambda x: net(x.detach())).requires_grad_(trainable)
    net.requires_grad_(trainable)
    oracle = GradientOracle(network, stream=search(), kind="deterministic", average=average)
    with pytest.raises(GradientError, match="has no gradient"):
        oracle.gradient(x, y)


def test_a_gradient_that_is_nan_is_said_to_be(net, x, y):
    network = Returns(lambda x: net(x) + (0 * x.flatten(1)[:, :1]).sqrt())
    for ask in (GradientOracle.gradient, lambda oracle, x, y: oracle.each(x, y, cross_entropy, [1])):
        with pytest.raises(GradientError, match="NaN or infinite at 5 of 5 inputs"):
            ask(GradientOracle(network, stream=search(), kind="deterministic"), x, y)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_attackers_coins_depend_on_the_example_not_on_the_batch(dtype, net, x):
    x = x.to(dtype)
    coins = Oracle(net, stream=search(), seed=3).coins(x)
    noise = coins.uniform("start", x.shape[1:])
    assert (noise.shape, noise.dtype) == (x.shape, dtype)
    few = Oracle(net, stream=search(), seed=3).coins(x[[3, 1]])
    assert torch.equal(noise[[3, 1]], few.uniform("start", x.shape[1:]))
    for other in (
        coins.uniform("restart", x.shape[1:]),
        Oracle(net, stream=search(), seed=4).coins(x).uniform("start", x.shape[1:]),
        noise.roll(1, 0),
    ):
        assert not torch.equal(noise, other)
    assert bool(((noise.float() >= 0) & (noise.float() <= 1)).all())


def test_the_target_is_left_as_it_was(x, y):
    net = randomize(nn.Sequential(nn.Flatten(), nn.Linear(16, 3), nn.Dropout(0.5))).train()
    state = torch.get_rng_state()
    oracle = GradientOracle(net, draws=2, stream=search())
    oracle.gradient(x.requires_grad_(), y), oracle.scores(x), oracle.labels(x)
    assert torch.equal(state, torch.get_rng_state())
    assert net.training
    assert x.grad is None
    assert all(p.grad is None and p.requires_grad for p in net.parameters())


def logits_of(net, x, count):
    with torch.no_grad():
        return torch.stack([net.at(key)(x) for key in search().take(count)])  # (S, B, K)


def margin_of(logits, y):
    return losses.margin(logits, y)


AVERAGED = {
    "loss": lambda logits, y: torch.stack([margin_of(one, y) for one in logits]).mean(0),
    "logits": lambda logits, y: margin_of(logits.mean(0), y),
    "probability": lambda logits, y: margin_of(logits.softmax(-1).mean(0).log(), y),
}


@pytest.mark.parametrize("average", AVERAGED)
def test_what_is_averaged_is_chosen_and_differentiated(average, net, x, y):
    oracle = GradientOracle(net, draws=4, stream=search(), average=average)
    value, slope = oracle.gradient(x, y, losses.margin)
    leaf = x.clone().requires_grad_()
    by_hand = AVERAGED[average](torch.stack([net.at(key)(leaf) for key in search().take(4)]), y)
    by_hand.sum().backward()
    assert torch.allclose(value, by_hand, atol=1e-5)
    assert torch.allclose(slope, leaf.grad, atol=1e-5)
    assert set(oracle.queries.forwards) == {4 if average == "loss" else 8}  # twice: the mean is known first
    assert set(oracle.queries.backwards) == {4}
    again = ScoreOracle(net, draws=4, stream=search(), average=average).loss(x, y, losses.margin)
    assert torch.allclose(again, by_hand, atol=1e-5)


def test_votes_and_errors_are_shares_of_draws(net, x, y):
    answers = logits_of(net, x, 9).argmax(-1)  # (S, B)
    oracle = ScoreOracle(net, draws=9, stream=search(), average="majority")
    shares = torch.stack([(answers == k).float().mean(0) for k in range(3)], 1)
    others = shares.scatter(1, y[:, None], -1).amax(1)
    assert torch.allclose(oracle.loss(x, y), others - shares.gather(1, y[:, None])[:, 0])
    wrong = ScoreOracle(net, draws=9, stream=search()).wrong(x, y)
    assert torch.allclose(wrong, (answers != y).float().mean(0))
    assert torch.allclose(ScoreOracle(net, draws=9, stream=search(), average="zero-one").loss(x, y), wrong)
    assert torch.equal(
        ScoreOracle(net, draws=9, stream=search(), average="majority").scores(x).exp().sum(1).round(decimals=5),
        torch.ones(len(x)),
    )


@pytest.mark.parametrize("average", ["majority", "zero-one"])
def test_counted_answers_have_no_gradient(average, net, x, y):
    with pytest.raises(UsageError, match="has no gradient"):
        GradientOracle(net, draws=2, stream=search(), average=average).gradient(x, y)


def test_fixed_draws_answer_alike_and_one_draw_is_one(net, x, keys_used):
    fixed = ScoreOracle(net, draws=3, stream=search(), keys="fixed")
    assert torch.equal(fixed.scores(x), fixed.scores(x))
    assert set(fixed.queries.draws) == {3}
    assert set(fixed.queries.forwards) == {6}
    keys_used.clear()
    one = ScoreOracle(net, draws=3, stream=search(), keys="one")
    assert not torch.equal(one.scores(x), one.scores(x))
    assert len(set(keys_used)) == 2
    assert set(one.queries.draws) == {2}


@pytest.mark.parametrize(("option", "value"), [("average", "mean"), ("keys", "some")])
def test_unknown_choices_are_named(option, value, net):
    with pytest.raises(UsageError, match=value):
        Oracle(net, stream=search(), **{option: value})


def test_rows_say_whose_the_inputs_are(net, x, y):
    oracle = GradientOracle(net, draws=2, stream=search(), examples=len(x))
    rows = torch.tensor([1, 1, 3])
    oracle.scores(x[rows], rows=rows)
    oracle.gradient(x[3:4], y[3:4], rows=rows[2:])
    oracle.labels(x[:0], rows=rows[:0])
    points = [0, 2, 0, 2] + [0] * (len(x) - 4)
    assert oracle.queries.points.tolist() == points
    assert oracle.queries.forwards.tolist() == [2 * n for n in points]
    assert oracle.queries.backwards.tolist() == [0, 0, 0, 2] + [0] * (len(x) - 4)
    assert oracle.stream.index == 3 * 2  # an empty query takes its keys too: the next draws are the same in any batch


def test_held_keys_give_the_same_draws_and_each_draw_stands_alone(net, x, y):
    oracle = GradientOracle(net, draws=3, stream=search())
    keys = oracle.take_keys(x)
    value, slope = oracle.gradient(x, y, keys=keys)
    values, slopes, logits = oracle.each(x, y, losses.cross_entropy, keys)
    assert torch.allclose(values.mean(0), value, atol=1e-6)
    assert torch.allclose(slopes.mean(0), slope, atol=1e-6)
    assert torch.allclose(logits, logits_of(net, x, 3), atol=1e-6)


@pytest.mark.parametrize("ask", ["gradient", "scores"])
def test_a_limit_of_memory_changes_no_answer_and_holds(ask, net, x, y):
    net.eval()
    needed = footprint(net, x)
    free = GradientOracle(net, draws=5, stream=search())
    seen = []
    net.register_forward_pre_hook(lambda _module, inputs: seen.append(len(inputs[0])))
    for passes in (1, 2, 7):
        bound = GradientOracle(net, draws=5, stream=search(), memory=passes * needed)
        free.stream = search()
        one, other = [o.gradient(x, y)[1] if ask == "gradient" else o.scores(x) for o in (free, bound)]
        assert torch.allclose(one, other, atol=1e-5)
        assert bound.queries.forwards.tolist() == [5] * len(x)
        seen.clear()
        GradientOracle(net, draws=5, stream=search(), kind="keyed", memory=passes * needed).scores(x)
        assert max(seen) == max(2, passes) if passes < len(x) else len(x)  # two where the footprint is measured
    with pytest.raises(UsageError, match="bytes are too few"):
        GradientOracle(net, draws=5, stream=search(), memory=needed - 1).scores(x)


def test_the_footprint_is_what_autograd_saves():
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4), nn.Tanh())
    found = footprint(network, torch.rand(5, 1, 4, 4))
    assert 4 * (8 + 4) <= found <= 4 * (16 + 16 + 8 + 8 + 4 + 4 + 16)


@pytest.mark.parametrize("ask", ["gradient", "scores"])
def test_draws_are_grouped_only_where_a_group_fits_in_memory(ask, net, x, y, monkeypatch):
    net, x, y = net.eval(), x[:4], y[:4]
    needed = footprint(net, x)
    forward, runs = nn.Flatten.forward, []
    monkeypatch.setattr(nn.Flatten, "forward", lambda self, x: runs.append(len(x)) or forward(self, x))
    for passes, expected in ((8 * 4, [4]), (8 * 4 - 1, [4] * 8), (3, [3, 1] * 8)):
        oracle = GradientOracle(net, draws=8, stream=search(), kind="keyed", memory=passes * needed)
        for _ in range(2):  # at first it is found out whether draws can be grouped, and how much memory they take
            runs.clear()
            oracle.gradient(x, y) if ask == "gradient" else oracle.scores(x)
        assert sorted(runs) == sorted(expected)


def test_examples_that_an_oracle_was_not_told_of_are_counted(mlp, x):
    oracle = ScoreOracle(mlp, stream=Stream("search", 0))
    oracle.scores(x[[0, 0, 2]], rows=torch.tensor([0, 0, 2]))
    assert oracle.queries.points.tolist() == [2, 0, 1]
    oracle.scores(x)
    assert oracle.queries.points.tolist() == [3, 1, 2, *[1] * (len(x) - 3)]


def test_a_network_whose_draws_differed_once_is_not_doubted(x):
    """A coin that is seldom wrong agrees on one example many times in a row."""
    oracle = ScoreOracle(Coin(0.05), draws=3, stream=Stream("search", 0))
    oracle.scores(x.repeat(40, 1, 1, 1))  # some draw is wrong about some of these
    for _ in range(100):
        oracle.scores(x[:1])
