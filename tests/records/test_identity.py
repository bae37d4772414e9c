"""One identity for a claim: everything that can change an answer changes it, and nothing that is only shown does."""

import dataclasses
import inspect

import numpy as np
import pytest
import torch
from torch import nn

from variate.cli.audit import audit
from variate.errors import BatchWarning
from variate.evaluation.claims import fingerprint_of, look_at
from variate.evaluation.evaluate import evaluate
from variate.evaluation.evaluation import Evaluation
from variate.evaluation.probes import answers_of
from variate.inputs.modalities.tabular import Tabular
from variate.inputs.modalities.text import Text
from variate.random.identity import identity, settings_of
from variate.random.randomize import randomize
from variate.random.seeding import kind_of
from variate.records.claim import Claim, Judged
from variate.records.file import Records
from variate.records.schema import Convergence, Gradient

NAMES = [{"name": name} for name in "abcd"]
FIXED = [{"name": name, "mutable": False} for name in "abcd"]


class Noisy(nn.Module):
    """Noise of a size that stands in no tensor, and a counter of calls that says nothing."""

    def __init__(self, std=0.05):
        super().__init__()
        self.std, self.calls = std, 0
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-4.0], [4.0]]).repeat(1, 4))
            self.head.bias.copy_(torch.tensor([8.0, -8.0]))

    def forward(self, x):
        self.calls += 1
        return self.head(x + self.std * torch.randn_like(x) if self.std else x)


X = torch.cat([torch.full((10, 4), 0.4), torch.full((10, 4), 0.6)])
Y = torch.tensor([0] * 10 + [1] * 10)
USUAL = {
    "network": Noisy(0.0), "x": X, "y": Y, "budget": "linf:0.2", "attacks": ["pgd(steps=2)"], "suite": None,
    "deployments": ["single"], "verdict_draws": 8, "modality": Tabular(features=NAMES), "draws": 2,
}  # fmt: skip
# what each argument is changed to, and what must stand beside it for the change to mean something
CHANGES = {
    "network": ({"network": Noisy(0.5)}, {}),
    "x": ({"x": 0.9 * X}, {}),
    "y": ({"y": 1 - Y}, {}),
    "evaluation": ({"evaluation": Evaluation(seed=1)}, {}),
    "budget": ({"budget": "linf:0.1"}, {}),
    "attacks": ({"attacks": ["pgd(steps=3)"]}, {}),
    "suite": ({"suite": "quick"}, {"attacks": []}),
    "detector": ({"detector": "similar(share=0.3)"}, {"detector": "similar", "attacks": ["oars"]}),
    "target": ({"target": "next"}, {"suite": "quick", "attacks": []}),
    "draws": ({"draws": 3}, {"network": Noisy()}),
    "deployments": ({"deployments": ["survive-2"]}, {}),
    "verdict_draws": ({"verdict_draws": 9}, {"network": Noisy()}),
    "modality": ({"modality": Tabular(features=FIXED)}, {}),
    "task": (
        {"task": "regression(tolerance=0.2)"},
        {"task": "regression(tolerance=0.1)", "y": torch.zeros(20, 2)},
    ),
    "seed": ({"seed": 1}, {}),
    "batch_size": ({"batch_size": 5}, {"network": Noisy()}),
    "memory": ({"memory": 4096}, {"network": Noisy()}),
    "source": ({"source": Noisy(0.0)}, {"suite": "standard", "attacks": [], "draws": 1}),
    "part": ({"part": "doubts"}, {}),
}
CANNOT = {
    "metrics": "measures the same answers",
    "records": "where the answers are kept",
    "name": "only shown",
    "twin_of": "only shown",
    "group": "only shown",
    "pictures": "keeps more of the same answers",
    "keep_inputs": "keeps the same inputs",
    "time_limit": "what is not begun is asked later",
    "shard": "who asks, not what",
    "show_progress": "only shown",
}


def asked(**changes):
    """The ids of the claims of an evaluation that asks as little as it can: it has no time, so nothing is run."""
    options = {**USUAL, **changes}
    network, x, y = (options.pop(name) for name in ("network", "x", "y"))
    return [claim.id for claim in evaluate(network, x, y, time_limit=1e-9, **options).claims]


@pytest.mark.parametrize("argument", inspect.signature(evaluate).parameters)
def test_every_argument_that_can_change_an_answer_changes_the_identity(argument):
    assert (argument in CHANGES) != (argument in CANNOT), f"say of {argument} whether it can change an answer"
    if argument in CHANGES:
        change, beside = CHANGES[argument]
        before, after = asked(**beside), asked(**{**beside, **change})
        assert before == asked(**beside)
        assert before[-1] != after[-1]


def test_what_is_only_shown_changes_no_identity():
    more = {"name": "other", "twin_of": "f", "group": "g", "pictures": True, "shard": (0, 2), "records": Records()}
    assert asked(**more) == asked()


def test_the_split_of_the_batch_matters_only_where_examples_meet():
    for split in ({"batch_size": 5}, {"memory": 4096}):
        assert asked(**split) == asked()
        normalized = nn.Sequential(nn.BatchNorm1d(4), Noisy(0.0))
        with pytest.warns(BatchWarning, match="batch norm '0' is in train mode"):
            assert asked(network=normalized.train(), **split)[-1] != asked(network=normalized)[-1]
        assert asked(network=normalized.eval(), **split) == asked(network=normalized.eval())


def test_a_changed_default_is_another_identity(monkeypatch):
    from variate.evaluation import plan

    before, options = asked(attacks=["pgd"]), plan.Plan.settings
    assert asked(attacks=["pgd"]) == asked(attacks=["pgd(steps=40)"])  # the usual number, said or not
    monkeypatch.setattr(plan.Plan, "settings", lambda self: {**options(self), "steps": 41})
    assert asked(attacks=["pgd"])[-1] != before[-1]


COMMAND = {
    "module": "network", "data": "x, y, modality", "mode": "network", "suite": "suite", "attack": "attacks",
    "budget": "budget", "target": "target", "source": "source", "draws": "draws", "verdict_draws": "verdict_draws",
    "deployment": "deployments", "examples": "x, y", "batch_size": "batch_size", "memory": "memory",
    "data_folder": "x, y, modality", "seed": "seed", "task": "task", "detector": "detector",
}  # fmt: skip
SILENT = {
    "out", "time_limit", "devices", "layers", "doubts", "accelerator", "dry_run", "config", "show_config", "json",
    "quiet", "metric", "keep_inputs", "require",
}  # fmt: skip


@pytest.mark.parametrize("option", inspect.signature(audit).parameters)
def test_every_option_of_an_audit_that_can_change_an_answer_is_an_argument_that_does(option):
    assert (option in COMMAND) != (option in SILENT), f"say of {option} whether it can change an answer"
    assert all(argument in CHANGES for argument in COMMAND.get(option, "x").split(", "))


def test_a_mode_is_part_of_a_network():
    dropping = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, 2))
    assert identity(dropping.train()) != identity(dropping.eval())


@pytest.mark.parametrize("kind", [Tabular, Text])
def test_every_field_of_a_modality_changes_the_identity(kind):
    """What of a data set can change an answer stands in the fields of its modality, and in x and y."""
    others = {"features": FIXED, "words": ("a", "b"), "neighbors": ((), (0,))}
    known = asked(modality=Tabular(features=NAMES))[-1]
    for field in dataclasses.fields(kind):
        assert fingerprint_of(kind()) != fingerprint_of(kind(**{field.name: others[field.name]}))
    assert known != asked(modality=Tabular())[-1]


@pytest.mark.parametrize("change", [
    lambda: Noisy(0.1), lambda: nn.Sequential(Noisy()), lambda: randomize(Noisy(0.0)),
    lambda: randomize(Noisy(0.0), family="uniform"), lambda: randomize(Noisy(0.0), scale=0.3),
    lambda: randomize(Noisy(0.0), share="tensor"), lambda: randomize(Noisy(0.0)).average([1]),
    lambda: randomize(Noisy(0.0)).average([2]), lambda: randomize(Noisy(0.0)).average([2], of="outputs"),
])  # fmt: skip
def test_networks_that_differ_in_no_tensor_differ(change):
    made = change()
    assert identity(made) == identity(change())
    assert identity(made) != identity(Noisy())
    others = [randomize(Noisy(0.0), family="laplace"), randomize(Noisy(0.0)).average([3])]
    assert identity(made) not in map(identity, others)


def test_a_counter_of_calls_does_not_tell_networks_apart():
    network = Noisy(0.0)
    assert asked(network=network) == asked(network=network)
    before = settings_of(network)
    network(X)
    assert identity(network, before) == identity(Noisy(0.0), {place: v for place, v in before.items() if v != "0"})


@pytest.mark.parametrize("line", [Claim, Gradient, Convergence])
def test_every_line_says_what_it_was_measured_on_and_hides_only_what_is_shown(line):
    assert set(Judged.model_fields) <= set(line.model_fields)
    answers = {"zero", "snr", "cosine", "price", "price_by_step", "accuracy", "chosen", "flat"}
    answers |= {"draws"} if line is Convergence else set()
    told = {"options", "settings"}  # a claim's are hashed as they are resolved
    assert (
        line.shown <= {"kind", "network", "date", "twin_of", "group", "coupled", "asked", "ordinary"} | answers | told
    )


def test_no_answer_is_reused_where_other_columns_may_be_changed():
    records = Records()

    def rate(features, **where):
        asked = {"attacks": ["pgd"], "deployments": ["single"], "modality": Tabular(features=features)}
        return evaluate(Noisy(0.0), X, Y, budget="linf:0.2", **asked, **where).rows[-1].rate

    assert (rate(NAMES, records=records), rate(FIXED, records=records)) == (rate(NAMES), rate(FIXED)) == (0.0, 1.0)


def test_no_answer_is_reused_where_the_noise_is_larger():
    records = Records()

    def clean(std, **where):
        asked = {"attacks": [], "verdict_draws": 40, "deployments": ["single"], "modality": "tabular"}
        return evaluate(Noisy(std), X, Y, budget="linf:0.1", **asked, **where).rows[0].rate

    assert (clean(0.05, records=records), clean(2.0, records=records)) == (clean(0.05), clean(2.0))
    assert clean(0.05) > clean(2.0)


def test_the_same_network_under_another_name_is_not_attacked_again():
    records, calls = Records(), []
    network = Noisy(0.0)
    judged = {"budget": "linf:0.2", "attacks": ["pgd"], "modality": "tabular", "records": records}
    first = evaluate(network, X, Y, name="one", **judged)
    network.register_forward_hook(lambda *_: calls.append(1))
    second = evaluate(network, X, Y, name="two", **judged)
    assert len(calls) < 20  # the first look
    assert [row.rate for row in first.rows] == [row.rate for row in second.rows]
    assert {row.network for row in second.rows} == {"two"}


class Computed(nn.Module):
    """Its forward is a function that stands in no tensor and no setting."""

    def __init__(self, function):
        super().__init__()
        self.__dict__["_function"] = function
        self.head = nn.Linear(4, 2)
        with torch.no_grad():
            self.head.weight.copy_(torch.tensor([[-4.0], [4.0]]).repeat(1, 4))
            self.head.bias.copy_(torch.tensor([8.0, -8.0]))

    def forward(self, x):
        return self.head(self._function(x))


def hooked(module, hook):
    module.register_forward_hook(hook)
    return module


def of_class(forward):
    return type("Computed", (Computed,), {"forward": forward, "__qualname__": "Computed"})(torch.tanh)


CODE = {
    "a function of the same name": (Computed(lambda x: x), Computed(lambda x: x.square())),
    "a small constant in a function": (Computed(lambda x: x), Computed(lambda x: 1.02 * x)),
    "a hook": (Noisy(0.0), hooked(Noisy(0.0), lambda _m, _i, output: output.flip(1))),
    "a forward of the same class name": (
        of_class(lambda self, x: self.head(x)), of_class(lambda self, x: self.head(x.relu() - 0.1)),
    ),
    "the scale of all logits": (Computed(lambda x: x), hooked(Computed(lambda x: x), lambda _m, _i, y: 3 * y)),
    "noise in a function": (Computed(lambda x: x + torch.randn_like(x)), Computed(lambda x: x + torch.rand_like(x))),
}  # fmt: skip


@pytest.mark.parametrize("case", CODE)
def test_code_that_changes_answers_is_another_network(case):
    one, other = CODE[case]
    assert identity(one) == identity(other)  # nothing else tells them apart
    assert asked(network=one) == asked(network=one)
    assert asked(network=one)[-1] != asked(network=other)[-1]
    suite = {"network": Noisy(0.0), "suite": "standard", "attacks": [], "draws": 1}
    assert asked(source=one, **suite)[-1] != asked(source=other, **suite)[-1]


def test_a_source_in_another_mode_is_another_source():
    suite = {"network": Noisy(0.0), "suite": "standard", "attacks": [], "draws": 1}
    source = nn.Sequential(nn.Dropout(0.5), Noisy(0.0))
    assert asked(source=source.train(), **suite)[-1] != asked(source=source.eval(), **suite)[-1]


def test_answers_are_the_same_for_any_number_of_threads():
    torch.manual_seed(0)
    wide = nn.Sequential(nn.Linear(64, 2000), nn.Tanh(), nn.Linear(2000, 10))
    x, threads, found = torch.rand(2, 64), torch.get_num_threads(), set()
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            found |= {answers_of(made, x, "keyed") for made in (randomize(wide), wide.double().float())}
    finally:
        torch.set_num_threads(threads)
    assert len(found) == 2  # of the random one and of the other


class OwnDraws(nn.Module):
    def forward(self, x):
        return x[:, :2] + torch.as_tensor(np.random.standard_normal(2), dtype=x.dtype)


class WiderDraws(nn.Module):
    def forward(self, x):
        return x[:, :2] + 2 * torch.as_tensor(np.random.standard_normal(2), dtype=x.dtype)


def test_what_draws_where_no_key_reaches_is_known_by_its_source():
    assert kind_of(OwnDraws(), X) == "unkeyed"
    assert answers_of(OwnDraws(), X, "unkeyed") == answers_of(OwnDraws(), 0.5 * X, "unkeyed") is not None
    assert answers_of(OwnDraws(), X, "unkeyed") != answers_of(WiderDraws(), X, "unkeyed")


class Hidden(nn.Module):
    """Holds layers in a list that no module knows of, and a state that is no tensor."""

    def __init__(self, bias=0.0, extra=1.0):
        super().__init__()
        self.layers, self.extra = [Noisy(0.0)], (extra,)
        with torch.no_grad():
            self.layers[0].head.bias.add_(bias)

    def get_extra_state(self):
        return {"extra": self.extra}

    def set_extra_state(self, state):
        self.extra = state["extra"]

    def forward(self, x):
        return self.layers[0](x)


def test_state_that_is_no_tensor_of_a_module_counts():
    assert identity(Hidden()) == identity(Hidden())
    assert len({identity(Hidden()), identity(Hidden(bias=1e-6)), identity(Hidden(extra=2.0))}) == 3


def test_a_module_that_refers_to_its_parent_has_an_identity():
    network = nn.Sequential(Noisy(0.0))
    network[0].__dict__["parents"] = [network]
    assert identity(network) == identity(network)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.skipif("fbgemm" not in torch.backends.quantized.supported_engines, reason="no quantized kernels here")
def test_quantized_weights_count():
    def quantized(seed):
        torch.manual_seed(seed)
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.Linear(4, 2)), {nn.Linear}, dtype=torch.qint8)

    assert identity(quantized(0)) == identity(quantized(0)) != identity(quantized(1))


class Prepared(nn.Module):
    """Sets a mark at its first call that stays, as transformers do, and counts its calls."""

    def __init__(self):
        super().__init__()
        self.layer, self.calls = nn.Linear(6, 2), 0

    def forward(self, x):
        self.ready, self.calls = True, self.calls + 1
        return self.layer(x.flatten(1))


def test_a_network_is_the_same_before_and_after_its_first_call():
    torch.manual_seed(0)
    network, x = Prepared().eval(), torch.rand(4, 6)
    first = look_at(network, x).fingerprint
    assert [look_at(network, x).fingerprint for _ in range(2)] == [first, first]


def test_a_source_is_the_same_before_and_after_its_first_call():
    torch.manual_seed(0)
    network, source, x = Prepared().eval(), Prepared().eval(), torch.rand(4, 6)
    transfer = {"attacks": [{"name": "transfer"}], "source": {"other": source}}
    results = [evaluate(network, x, torch.arange(4) % 2, budget="linf:0.1", **transfer) for _ in range(2)]
    assert results[0].claims == results[1].claims
