"""Examples in reports: every modality has a way to be shown, and a report says what it cannot show."""

import re

import pytest
import torch
from shown import CLAIM, KEPT, records_of

from variate import registry
from variate.evaluation.evaluate import evaluate
from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.schema import Example, Picture
from variate.report.attacked import displays, galleries, not_shown
from variate.report.page import TEMPLATES, page_text
from variate.report.shown.image import image_pair
from variate.training.run_folder import run_record


@pytest.mark.parametrize("name", registry.entries("modalities"))
def test_every_modality_has_a_way_to_be_shown(name):
    display = displays()[name]
    assert display.title
    assert display.text.endswith(".")
    assert (TEMPLATES / "shown" / f"{name}.html.j2").exists()


@pytest.mark.parametrize("modality", KEPT)
def test_what_was_kept_of_an_example_is_shown_with_how_it_was_answered(modality):
    (gallery,) = galleries(records_of(modality, **KEPT[modality]))
    assert (gallery.modality, gallery.id) == (modality, f"examples-{modality}")
    (one,) = gallery.networks["n"]
    assert (one.read, one.outcome) == ("label 3", "correct in 3 of 4 draws")
    page = page_text([records_of(modality, **KEPT[modality])])
    assert f'<h2 id="examples-{modality}">{gallery.display.title} ' in page
    assert f'<a href="#examples-{modality}">' in page
    assert "<b>label 3</b>: correct in 3 of 4 draws" in page


def test_no_more_examples_of_a_network_are_shown_than_there_is_room_for():
    for modality, kept in KEPT.items():
        (gallery,) = galleries(records_of(modality, examples=9, **kept))
        assert [one.example for one in gallery.networks["n"]] == list(range(displays()[modality].most))


def test_words_of_texts_are_escaped_and_those_that_changed_marked():
    page = page_text([records_of("text", **KEPT["text"])])
    assert "<del>&lt;b&gt;</del> <mark>d</mark> <mark>c</mark>" in page
    assert "1 of 3 words replaced" in page


def test_differences_are_magnified_as_far_as_they_fit():
    assert image_pair(Picture(claim="c", example=0, label=0, **KEPT["image"])).factor == 12  # 10 of 255, 127 // 10


def test_the_style_of_a_modality_is_added_only_where_it_is_shown():
    page = page_text([records_of("image", **KEPT["image"])])
    assert "image-rendering: pixelated" in page
    assert ".rows caption" not in page


def test_examples_of_an_unknown_modality_are_said_to_be_missing():
    records = records_of("smell", shape=[1], original="00", adversarial="01")
    assert galleries(records) == []
    assert not_shown(records) == ["smell"]
    assert re.search(r"Stored examples of smell cannot be displayed", page_text([records]))


def test_an_example_that_was_not_judged_draw_by_draw_is_captioned_by_what_was():
    deployments = {"mean-2": pack([1, 0])}
    (gallery,) = galleries(records_of("image", answers=deployments, **KEPT["image"]))
    assert gallery.networks["n"][0].outcome == "correct in 1 of 2 answers of mean-2"


def test_the_attack_that_leaves_the_fewest_right_is_shown():
    records = records_of("image", **KEPT["image"])
    for attack, right in (("strong", [0, 0, 0, 1]), ("weak", [1, 1, 1, 1])):
        claim = Claim(**CLAIM.model_dump() | {"attack": attack})
        counts = {"label": 3, "distance": 0.1, "forwards": 1, "backwards": 1}
        records.add([claim, Example(claim=claim.id, example=0, answers={"single": pack(right)}, **counts)])
        records.add([Picture(claim=claim.id, example=0, label=3, **KEPT["image"])])
    (gallery,) = galleries(records)
    assert [one.attack for one in gallery.networks["n"]] == ["strong, linf:0.1"]


def test_a_picture_keeps_what_most_draws_read_it_as():
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval()
    x, records = torch.rand(4, 1, 4, 4), Records()
    y = network(x).argmax(1)
    evaluate(network, x, y, budget="linf:0.9", attacks=["pgd"], records=records, pictures=True)
    (gallery,) = galleries(records)
    for shown, picture in zip(gallery.networks["network"], records.pictures, strict=True):
        attacked = torch.frombuffer(bytearray.fromhex(picture.adversarial), dtype=torch.uint8).view(1, 1, 4, 4) / 255
        assert picture.answer == int(network(attacked).argmax()) != picture.label
        assert (shown.read, shown.outcome) == (f"{picture.label} read as {picture.answer}", "now wrong")
    assert f"<b>{shown.read}</b>: now wrong" in page_text([records])


def test_misread_examples_stand_first_and_others_say_that_they_still_hold():
    records = records_of("image", examples=4, **KEPT["image"])
    records.pictures[:] = [
        picture.model_copy(update={"answer": answer})
        for picture, answer in zip(records.pictures, [3, 5, 3, 1], strict=True)
    ]
    (gallery,) = galleries(records)
    shown = [(one.example, one.read) for one in gallery.networks["n"]]
    assert shown == [(1, "3 read as 5"), (3, "3 read as 1"), (0, "3 still read as 3"), (2, "3 still read as 3")]


def test_labels_are_named_where_all_runs_name_their_classes_alike():
    records = records_of("image", examples=2, **KEPT["image"])
    records.pictures[:] = [picture.model_copy(update={"answer": 1}) for picture in records.pictures]
    run = records.runs[0] if records.runs else run_record(command="c", title="t", data="d", seed=0, x=torch.rand(2, 1))
    records.runs[:] = [run.model_copy(update={"labels": ["bag", "coat", "shirt", "dress"]})]
    (gallery,) = galleries(records)
    assert {one.read for one in gallery.networks["n"]} == {"dress read as coat"}
    records.runs.append(run.model_copy(update={"labels": ["ham", "spam"]}))
    (gallery,) = galleries(records)
    assert {one.read for one in gallery.networks["n"]} == {"3 read as 1"}
