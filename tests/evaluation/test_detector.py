"""Evaluating a deployment that rejects similar queries: never without OARS, and with what the detector rejects."""

import pytest
import torch

from variate.errors import UsageError
from variate.evaluation import diagnostics
from variate.evaluation.evaluate import evaluate
from variate.evaluation.evaluation import Evaluation
from variate.evaluation.plan import Plan
from variate.evaluation.stateful import facing
from variate.records.adapted import adapted, stateful_notes
from variate.records.file import Records
from variate.records.groups import notes, shown
from variate.records.rows import result_of
from variate.serving.similar import Similar, ordinary_rejections
from variate.testing.linear import LinearModel, smallest_distance

ATTACKS = ["hopskipjump(queries=500)", "oars(queries=500)"]
DETECTOR = "similar(step=0.05)"


def linear():
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(2, 64, generator=generator)
    x = 0.45 + 0.1 * torch.rand(4, 1, 8, 8, generator=generator)
    model = LinearModel(weight, -(weight @ x.flatten(1).T).mean(1))
    with torch.no_grad():
        return model, x, model(x).argmax(1)


def judged(attacks=ATTACKS, **options):
    model, x, y = linear()
    budget = f"l2:{2 * float(smallest_distance(model, x, y, 'l2').max()):.5f}"
    return evaluate(model, x, y, **{"budget": budget, "attacks": attacks, "deployments": ["single"], **options})


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A plain attack and OARS against a detector, and the plain attack and a white-box one without it."""
    path = tmp_path_factory.mktemp("detector") / "records.jsonl"
    faced = judged([*ATTACKS, "fgsm"], detector=DETECTOR, records=path)
    return faced, judged(ATTACKS[:1], records=path), path


def test_the_detector_stops_the_plain_attack_and_not_oars(measured):
    faced, free, _ = measured
    rates = {(row.attack, row.options.get("detector")): row.rate for row in faced.rows}
    assert rates["hopskipjump", DETECTOR] == 1.0
    assert rates["oars", DETECTOR] == 0.0
    assert rates["fgsm", None] == 0.0  # sends no query, so faces no detector
    assert free.rows[-1].rate == 0.0


def test_the_records_tell_what_was_rejected(measured):
    faced, _, path = measured
    records = Records(path)
    plain, adaptive = (next(c for c in records.claims.values() if c.attack == name) for name in ("hopskipjump", "oars"))
    share = {}
    for claim in (plain, adaptive):
        examples = records.examples[claim.id].values()
        assert all(line.points - line.forwards == line.rejected for line in examples)
        share[claim.attack] = sum(line.rejected for line in examples) / sum(line.points for line in examples)
        assert claim.settings["detector"] == Similar.parse(DETECTOR).options
        assert claim.ordinary == ordinary_rejections(DETECTOR, linear()[1]) == 0.0
    assert share["hopskipjump"] > 0.5 > 0.3 > share["oars"]
    assert f"{100 * share['oars']:.1f} % of the queries of oars" in str(faced)
    assert "rejects 0.0 % of the inputs sent once in random order" in str(faced)


def test_the_detector_is_part_of_the_claim(measured):
    faced, free, _ = measured
    assert faced.claims[1].attack == free.claims[1].attack == "hopskipjump"
    assert faced.claims[1].id != free.claims[1].id
    assert faced.claims[0].id == free.claims[0].id  # clean inputs
    assert "detector" not in free.claims[1].settings


def test_records_without_the_adaptive_attack_show_no_rate(measured):
    _, _, path = measured
    whole, part = Records(path), Records()
    adaptive = next(c for c in whole.claims.values() if c.attack == "oars")
    part.add([claim for claim in whole.claims.values() if claim.id != adaptive.id])
    part.add([line for claim in part.claims for line in whole.examples[claim[1]].values()])
    plain = next(c for c in part.claims.values() if "detector" in c.options)
    assert adapted(whole, plain)
    assert plain in shown(whole)
    assert not adapted(part, plain)
    assert plain not in shown(part)
    assert [c.attack for c in shown(part)] == ["clean", "fgsm", "hopskipjump"]  # the one without a detector
    assert "hopskipjump is not shown, since oars has not answered the same examples" in "\n".join(notes(part))
    assert {row.attack for row in result_of(part, [plain]).rows} == set()
    part.add([adaptive, *list(whole.examples[adaptive.id].values())[:3]])
    assert not adapted(part, plain)  # three of the four examples
    part.add([whole.examples[adaptive.id][3]])
    assert adapted(part, plain)
    assert stateful_notes(part, [adaptive]) == stateful_notes(whole, [adaptive])


@pytest.mark.parametrize(
    ("attacks", "detector", "says"),
    [
        (["hopskipjump"], "similar", "no attack adapts to the detector similar"),
        ([{"name": "hopskipjump", "detector": "similar"}], None, "no attack adapts to the detector similar"),
        (["pgd"], "similar", "no attack faces the detector similar"),
        (["hopskipjump(queries=900)", "oars(queries=800)"], "similar", "oars has 800 queries, and another attack"),
        (["square", "oars"], "similar", "square queries scores"),
        ([{"name": "pgd", "detector": "similar"}], None, "pgd has access gradient"),
        (["oars"], "simlar", "did you mean 'similar'"),
        (["hopskipjump(detector='similar(share=0.3)')", "oars(detector=similar)"], None, "similar(share=0.3)"),
    ],
)
def test_a_detector_without_its_adaptive_attack_is_refused(attacks, detector, says):
    with pytest.raises(UsageError) as error:
        judged(attacks, detector=detector)
    assert says in str(error.value)


def test_a_suite_faces_no_detector():
    """It keeps the worst input of several attacks, so that no rate of the detector alone would stand beside another."""
    with pytest.raises(UsageError, match="faces a detector"):
        judged([], suite="hopskipjump(queries=500, detector=similar)+fgsm")


def test_only_attacks_that_query_labels_face_the_detector():
    specs = facing(["pgd(steps=3)", {"name": "rays", "queries": 900}, "oars"], "similar(step=0.20)")
    plans = [Plan.of(spec, 1) for spec in specs]
    assert [plan.detector for plan in plans] == [None, "similar(step=0.2)", "similar(step=0.2)"]
    assert plans[0].options == {"steps": 3}
    assert plans[1].options == {"queries": 900}
    assert facing(["pgd", "rays"], None) == ["pgd", "rays"]


def test_the_same_seed_gives_the_same_answers(measured):
    faced, _, _ = measured
    again = judged(["oars(queries=500)"], detector=DETECTOR)
    claim = again.claims[-1]
    assert again.records.examples[claim.id] == faced.records.examples[claim.id]


def test_the_measurements_for_red_flags_face_no_detector(monkeypatch):
    """They measure the network itself, with attacks of their own."""
    asked = []
    monkeypatch.setattr(diagnostics, "evaluate", lambda *_, evaluation, **__: asked.append(evaluation))
    model, x, y = linear()
    settings = Evaluation(budget="l2:0.5", attacks=ATTACKS, detector=DETECTOR)
    diagnostics.doubt(model, x, y, records=Records(), name="linear", evaluation=settings)
    assert len(asked) > 1
    assert {evaluation.detector for evaluation in asked} == {None}
