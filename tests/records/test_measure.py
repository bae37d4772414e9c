"""The word for what rates are of follows the task of the claims, in the tables too."""

import numpy as np
import pytest

from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.measure import ACCURACY, SCORE, measure_of
from variate.records.rows import result_of
from variate.records.schema import Example
from variate.report.formats import as_latex, as_markdown
from variate.report.page import page_text
from variate.report.paired import twins
from variate.report.runs import compare_runs
from variate.report.spread import spread
from variate.report.table import print_study


def judged(task, seed=0, name="net", draws=20, prints=None, **more):
    """Records of one attacked network, random or not."""
    claim = Claim(
        network=name, fingerprint=prints or name, inputs="i", attack="pgd", options={}, settings={},
        budget="linf:0.1", draws=3, verdict_draws=draws, deployments=["single"], seed=seed, modality="image",
        allowed="a", drawn="keys", task=task, **more,
    )  # fmt: skip
    scores = np.random.default_rng(seed).beta(4, 2, (draws, 30))
    answers = scores > 0.5 if task == "classes" else scores
    lines = [
        Example(claim=claim.id, example=j, answers={"single": pack(answers[:, j])}, distance=0, forwards=1, backwards=1)
        for j in range(30)
    ]
    records = Records()
    records.add([claim, *lines])
    return records


@pytest.mark.parametrize(
    ("task", "noun", "column"),
    [
        ("classes", "accuracy", "correct"),
        ("binary(key=logits)", "accuracy", "correct"),
        ("labels(exact=True)", "accuracy", "correct"),
        ("labels", "share of correct labels", "labels correct"),
        ("positions", "mean IoU", "mean IoU"),
        ("positions(classes=last, score_by=accuracy)", "share of correct positions", "positions correct"),
        ("regression(tolerance=0.3)", "share within tolerance", "within tolerance"),
        ("regression(tolerance=0.3, until=0.3)", "share within tolerance", "within tolerance"),
        ("regression(tolerance=0.3, until=1)", "mean score", "score"),
        ("one-of-mine", "mean score", "score"),
        ("((", "mean score", "score"),
    ],
)
def test_every_task_has_its_word(task, noun, column):
    measure = measure_of([task, task])
    assert (measure.noun, measure.column) == (noun, column)


def test_several_measures_are_scores_and_none_is_accuracy():
    assert measure_of([]) == measure_of(["classes", "binary"]) == ACCURACY
    assert measure_of(["classes", "positions"]) == SCORE


@pytest.mark.parametrize(("task", "word"), [("classes", "Accuracy"), ("positions", "Mean IoU")])
def test_every_title_has_the_word_of_its_task(task, word, capsys):
    title, runs = f"{word} by network, deployment and attack", [judged(task, name="one"), judged(task, name="two")]
    page = compare_runs(runs)
    assert page.headline.measure == word[:1].lower() + word[1:]
    assert title in dict(page.tables)
    assert page.legend.startswith(f"{word} in percent")
    print_study(runs[0])
    for text in (capsys.readouterr().out, as_markdown(runs), as_latex(runs), page_text(runs)):
        assert title in " ".join(text.split())
    assert "Accuracy by" not in page_text(runs) or word == "Accuracy"


@pytest.mark.parametrize(("task", "head"), [("classes", "correct"), ("positions", "mean IoU")])
def test_rows_and_tables_have_the_word_of_their_task(task, head):
    one, other = judged(task, name="one"), judged(task, seed=1, name="other")
    assert f"{head} % [95 % interval]" in str(result_of(one, [*one.claims.values()]))
    page = compare_runs([one, other, judged(task, seed=2, name="third")])
    assert {name for name, *_ in page.differences.heads} >= {f"{head}, %"}
    both = Records()
    for part in (one, judged(task, name="one, mean network", draws=1, twin_of="one")):
        both.add([*part.claims.values(), *(line for lines in part.examples.values() for line in lines.values())])
    assert {name for name, *_ in twins(both).heads} >= {f"{head}, %"}


def test_runs_of_different_tasks_are_not_compared():
    one, other = judged("regression(tolerance=0.3)", name="one"), judged("regression(tolerance=0.4)", name="other")
    assert compare_runs([one, other]).headline is None
    same = judged("regression(tolerance=0.3)", seed=1, name="other")
    assert compare_runs([one, same]).headline is not None
    found = spread([one, judged("regression(tolerance=0.3)", seed=1, name="one", prints="another")])
    assert found.spread.each[0].rate == pytest.approx(one.answers(*one.claims.values(), "single").mean())
