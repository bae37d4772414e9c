"""Requirements on records: judged by the end of an interval, on rates that are known, and never passed unmeasured."""

from xml.etree import ElementTree as Xml

import numpy as np
import pytest
import torch
from claims import claim
from torch import nn
from typer.testing import CliRunner

import variate
from variate.cli.main import app
from variate.errors import UsageError
from variate.records.certified import Certificate, Proved, ProvedRow
from variate.records.claim import Claim
from variate.records.file import RECORDS, Records
from variate.records.schema import MetricValue
from variate.report.gate.formats import as_github, as_junit
from variate.report.gate.judgment import judged
from variate.report.gate.requirement import Requirement
from variate.statistics.rates import Deployment, clopper_pearson, rate_of

SINGLE = Deployment("single", 1)


def right(count, examples=100, draws=1):
    """The same examples right under every draw: the interval is that of ``count`` of ``examples``."""
    return np.tile(np.arange(examples) < count, (draws, 1))


def of_deterministic(count, path=None, examples=100):
    store = Records(path)
    claim(store, "net", right(95, examples), attack="clean")
    claim(store, "net", right(count, examples))
    return store


def metric(store, name, value, low, high, better="high", **more):
    (attacked,) = [line for line in store.claims.values() if line.attack == "pgd"]
    facts = {"rule": "single", "minus": "", "better": better, "why": "", "examples": 100, "draws": 1} | more
    store.add([MetricValue(claim=attacked.id, metric=name, value=value, low=low, high=high, **facts)])


def test_a_rate_is_judged_by_the_lower_end_of_its_interval():
    store = of_deterministic(50)
    rate = rate_of(SINGLE, right(50))
    low, high = 100 * rate.low, 100 * rate.high
    assert variate.shortfalls(store, f"survive-10>={low - 0.01:.4f}") == []
    (fallen,) = variate.shortfalls(store, f"survive-10>={low + 0.01:.4f}")  # the rate itself, 50 %, is above
    assert (fallen.value, fallen.low, fallen.examples) == (0.5, pytest.approx(low / 100), 100)
    assert variate.shortfalls(store, f"single<={high + 0.01:.4f}") == []
    assert variate.shortfalls(store, f"single<={high - 0.01:.4f}")


def test_attacked_and_clean_rates_are_told_apart_and_every_attack_counts():
    store = of_deterministic(60)
    assert not variate.shortfalls(store, ["clean single>=85", "single>=45", "clean any>=85"])
    assert variate.shortfalls(store, "single>=85")
    claim(store, "net", right(30), attack="fgsm", budget="linf:8/255")
    claim(store, "net", right(10), attack="square", options={"target": "next"}, budget="linf:0.1")
    assert not variate.shortfalls(store, ["single under pgd>=45", "single at linf:0.10>=45"])  # a targeted one is not
    assert variate.shortfalls(store, "single under square(target=next)>=45")
    for words in ("single>=45", "single under fgsm>=45", "single at linf:8/255>=45"):
        (fallen,) = variate.shortfalls(store, words)
        assert fallen.value == 0.3
        assert "under fgsm at linf:8/255" in fallen.sentence


def test_the_options_of_an_attack_are_compared():
    store = Records()
    claim(store, "net", right(60), options={"steps": 10})
    claim(store, "net", right(20), options={"steps": 100})
    assert not variate.shortfalls(store, "single under pgd(steps=10)>=45")
    assert variate.shortfalls(store, "single under pgd(steps=100)>=45")
    assert variate.shortfalls(store, "single under pgd(draws=1)>=45")
    for words in ("pgd(steps=50)", "pgd(draws=2)", "pgd(steps=10, draws=2)"):
        with pytest.raises(UsageError, match="not measured"):
            variate.shortfalls(store, f"single under {words}>=45")


def test_a_default_that_is_named_is_that_of_the_attack():
    store = Records()
    claim(store, "net", right(60), settings={"steps": 40, "target": None})
    assert not variate.shortfalls(store, ["single under pgd(steps=40)>=45", "single>=45"])


@pytest.mark.parametrize(("size", "most"), [(40, 0.7), (300, 0.9)])
def test_what_would_be_needed_is_enough(size, most):
    """A rate of 60 % on as many examples as it says has a lower end above the threshold, and not on far fewer."""
    store = of_deterministic(round(0.6 * size), examples=size)
    (fallen,) = variate.shortfalls(store, "single>=58")
    needed = int(fallen.sentence.partition("needed: about ")[2].partition(" examples")[0].replace(",", ""))
    enough, few = (rate_of(SINGLE, right(round(0.6 * n), n)) for n in (round(1.05 * needed), round(most * needed)))
    assert enough.low >= 0.58 > few.low


def test_too_few_examples_for_any_answer_are_said():
    store = of_deterministic(20, examples=20)
    (fallen,) = variate.shortfalls(store, "single>=95")
    least = int(fallen.sentence.partition("at least ")[2].partition(" examples")[0])
    assert clopper_pearson(least, least)[0] >= 0.95 > clopper_pearson(least - 1, least - 1)[0]


def test_a_rate_of_many_draws_is_not_told_that_it_cannot_be_shown():
    """Each of 20 examples is right in 31 of 32 draws: its interval is narrower than that of 20 right answers."""
    answers = ~np.eye(32, 20, dtype=bool)
    store = Records()
    claim(store, "net", answers)
    assert clopper_pearson(20, 20)[0] < 0.9 < rate_of(SINGLE, answers).low
    assert not variate.shortfalls(store, "single>=90")
    (fallen,) = variate.shortfalls(store, "single>=97")
    assert "cannot" not in fallen.sentence


def test_examples_do_not_help_where_draws_limit_the_interval():
    rng, examples = np.random.default_rng(0), 400
    answers = np.tile(rng.random((8, 1)) < 0.5, (1, examples))  # every draw is right on all, or on none
    store = Records()
    claim(store, "net", answers)
    rate = 100 * answers.mean()
    (fallen,) = variate.shortfalls(store, f"single>={rate - 5:.2f}")
    assert "verdict draws" in fallen.sentence


def test_what_was_not_measured_is_an_error_that_lists_what_was():
    store = Records()
    claim(store, "net", right(50, draws=4))
    for words in ("survive-10>=1%", "clean single>=40", "single at l2:1>=40", "single of other>=40", "mae<=1",
                  "certified vote l2:0.5>=30", "wrong certified-0.5<=5%", "no flags"):  # fmt: skip
        with pytest.raises(UsageError, match="not measured") as error:
            variate.shortfalls(store, ["single>=10", words])
        assert "single under pgd at linf:0.1" in error.value.expected
    with pytest.raises(UsageError, match="not measured"):
        variate.shortfalls(Records(), "single>=10")


@pytest.mark.parametrize(
    "words",
    ["", "single", "single>=", "single>=x", "single>=101", "single>=-1", "single>=0.4", "singel>=40", "mean>=40",
     "certified l2:0.5>=4", "clean single under pgd>=40", "single at 0.1>=40", "40<=single", "no-flag"],
)  # fmt: skip
def test_what_is_no_requirement_is_refused(words):
    with pytest.raises(UsageError):
        Requirement.parse(words)


def test_every_network_of_the_records_is_judged_unless_one_is_named():
    store = of_deterministic(60)
    claim(store, "at mlp", right(10), group="weak")
    assert [fallen.network for fallen in variate.shortfalls(store, "single>=40")] == ["at mlp"]
    assert not variate.shortfalls(store, "single of net>=40")
    assert variate.shortfalls(store, "single under pgd of at mlp>=40")
    assert variate.shortfalls(store, "single of weak>=40")
    with pytest.raises(UsageError, match="not measured"):
        variate.shortfalls(store, "clean single>=40")  # not measured of one of them


def test_metrics_are_judged_by_the_end_that_counts():
    store = of_deterministic(60)
    metric(store, "mae", 0.4, 0.3, 0.5, better="low")
    metric(store, "f-beta(beta=2)", 0.8, 0.7, 0.9, rule="mean-16")
    assert not variate.shortfalls(store, ["mae<=0.5", "mae>=0.3", "f-beta mean-16>=70%", "f-beta(beta=2)>=0.7"])
    fallen = variate.shortfalls(store, ["mae<0.5", "mae<=0.45", "f-beta(beta=2)>=0.75"])
    assert [judgment.value for judgment in fallen] == [0.4, 0.4, 0.8]
    for words in ("f-beta(beta=1)>=0.1", "f-beta single>=0.1", "clean mae<=1"):
        with pytest.raises(UsageError, match="not measured"):
            variate.shortfalls(store, words)


def test_certified_rates_are_judged_by_their_lower_end():
    store = Records()
    facts = {"network": "net", "fingerprint": "net", "inputs": "i", "modality": "image", "allowed": "a"}
    certificate = Certificate(
        **facts, drawn="keys", seed=0, mechanism="gaussian", noise="noise", choosing=10, draws=1000, alpha=0.001,
        votes_of=1, asked=100,
    )  # fmt: skip
    row = ProvedRow(deployment="vote", norm="l2", radius=0.5, rate=0.4, low=0.3, high=0.5)
    proved = Proved(certificate=certificate.id, norm="l2", radii=[0.5], abstained=0, rows=[row], curve=[])
    store.add([certificate, proved])
    assert not variate.shortfalls(store, "certified vote l2:0.50>=30")
    (fallen,) = variate.shortfalls(store, "certified vote l2:1/2>=31")
    assert "40.0 % [30.0, 50.0] on 100 examples" in fallen.sentence
    for words in ("certified vote l2:0.25>=30", "certified vote linf:0.5>=30", "vote>=30"):
        with pytest.raises(UsageError):
            variate.shortfalls(store, words)


def test_an_unfinished_evaluation_meets_nothing():
    store = Records()
    claim(store, "net", right(60), asked=200)
    (fallen,) = variate.shortfalls(store, "single>=10")
    assert "100 of 200 examples" in fallen.sentence
    begun = of_deterministic(60)
    first = next(iter(begun.claims.values())).model_dump()
    begun.add([Claim(**first | {"attack": "square", "budget": "linf:0.1"})])
    (fallen,) = variate.shortfalls(begun, "single>=10")
    assert "square at linf:0.1 (not begun)" in fallen.sentence
    assert not variate.shortfalls(begun, "single under pgd>=10")


def test_red_flags_are_a_requirement():
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)).eval()
    x, y = torch.rand(12, 1, 2, 2, generator=torch.Generator().manual_seed(0)), torch.arange(12) % 2
    result = variate.evaluate(net, x, y, budget="linf:0.1", attacks=["fgsm"])
    with pytest.raises(UsageError, match="not measured"):  # the evidence for them is missing
        variate.shortfalls(result, "no flags")
    from variate.evaluation.diagnostics import doubt

    doubt(net, x, y, records=result.records, name="network", budget="linf:0.1", examples=12, steps=2)
    (judgment,) = judged(result, "no-flags")
    found = [flag.flag for flag in result.flags]
    assert judgment.holds == (not found)
    assert all(flag in judgment.sentence for flag in found)


def test_formats_hold_every_judgment_whatever_its_words():
    store = of_deterministic(50)
    claim(store, 'a|b <c> & "d" \x01', right(80))
    judgments = judged(store, ["single>=60", "single<=95"])
    (suite,) = Xml.fromstring(as_junit(judgments))
    assert [suite.get(name) for name in ("tests", "failures")] == ["4", "1"]
    failed = [case for case in suite if case.find("failure") is not None]
    assert [case.get("classname") for case in failed] == ["net"]
    assert "50.0 % [39.7, 60.3]" in failed[0].find("failure").get("message")
    text = as_github([store], judgments)
    assert "### 1 of 4 requirements fall short" in text
    rows = [line for line in text.splitlines() if line.startswith("| `single")]
    assert len(rows) == 4
    assert all(len([c for c in row.replace("\\|", "").split("|") if c.strip()]) == 3 for row in rows)
    assert "<c>" not in "".join(rows)


def test_the_command_ends_with_its_own_exit_code(tmp_path):
    of_deterministic(50, tmp_path / RECORDS)
    run, out = CliRunner().invoke, tmp_path / "junit.xml"
    words = ["report", str(tmp_path), "--format", "junit", "--out", str(out)]
    done = run(app, [*words, "--require", "single>=60", "--require", "clean single>=80"])
    assert done.exit_code == 3
    assert "single>=60: falls short: net, any under pgd at linf:0.1: 50.0 % [39.7, 60.3] on 100 examples" in done.stderr
    assert Xml.parse(out).getroot().get("failures") == "1"
    assert run(app, [*words, "--require", "clean single>=80"]).exit_code == 0
    missing = run(app, [*words, "--require", "mae<=1"])
    assert missing.exit_code == 2
    assert "clean any" in missing.stderr
    assert run(app, words).exit_code == 2
