"""The verdict in three lines: each case against the paired comparison that the records give."""

import re

import numpy as np
import pytest
from claims import DRAWS, EXAMPLES, answers, claim, network, sample

from variate.flags.raise_flags import raised
from variate.records.bits import pack
from variate.records.certified import Certificate, Proved, ProvedRow
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.schema import Example
from variate.report import single
from variate.report.headline import NO_VERDICT, headline, sentence_of
from variate.report.page import page_text
from variate.report.strips import difference_bound, difference_strip, rate_strip
from variate.statistics.comparison import compare
from variate.statistics.notation import percent, percent_interval, percent_range, points, points_interval


def pair(random, plain, *, examples=EXAMPLES, other_examples=False, **changed):
    """A random network and its mean network, right on a share of the examples: of nested ones, or of others."""
    store = Records()
    order = np.arange(examples)
    of_twin = order[::-1] if other_examples else order
    flat = np.repeat((order < random * examples)[None], DRAWS, axis=0)
    noisy = flat ^ (np.random.default_rng(0).random(flat.shape) < 0.02)
    claim(store, "net", noisy, **changed)
    claim(store, "net, mean network", (of_twin < plain * examples)[None], part="twins", twin_of="net", **changed)
    return store


def difference(store):
    random, twin = store.claims.values()
    return compare(single.bits(store, random), single.bits(store, twin))


@pytest.mark.parametrize(
    ("random", "plain", "tone", "words"),
    [
        (0.8, 0.4, "gain", "Randomness helps against these attacks: "),
        (0.4, 0.8, "loss", "Randomness costs robustness here: "),
        (0.5, 0.5, "open", "Too few examples to tell whether randomness helps: "),
    ],
)
def test_the_claim_is_what_the_paired_interval_shows(random, plain, tone, words):
    store = pair(random, plain, other_examples=tone == "open")
    verdict = headline(store)
    assert verdict.tone == tone
    assert verdict.claim == words + difference(store).points


def test_nothing_is_gained_where_the_interval_excludes_two_points():
    store = pair(0.5, 0.5, examples=1000)
    change = difference(store)
    assert change.low < 0 < change.high < 0.02
    verdict = headline(store)
    assert verdict.tone == "nothing"
    assert verdict.claim == f"Randomness gains nothing here: {change.points}"


def test_the_lines_name_the_networks_with_their_intervals_and_the_attack_with_its_examples():
    store = pair(0.8, 0.4)
    claim_line, networks, basis = headline(store).lines
    random, twin = (single.row(store, one) for one in store.claims.values())
    assert claim_line == headline(store).claim
    assert networks == (
        f"`net` {percent(random.rate)} % {percent_interval(random.low, random.high)}; "
        f"`mean network` {percent(twin.rate)} % {percent_interval(twin.low, twin.high)}"
    )
    assert basis == (
        "Under `pgd` (linf:0.1), one draw per query; paired with `mean network` under its own strongest attack, "
        f"on the same 60 examples. {sentence_of(headline(store).difference.power)}"
    )


def test_the_best_twin_is_the_one_to_beat():
    verdict = headline(sample())
    assert [one.label for one in verdict.estimates] == ["random", "mean network", "plain", "at"]
    assert [one.role for one in verdict.estimates] == ["measured", "twin", "twin", "twin"]
    assert verdict.tone == "loss"
    assert verdict.claim.startswith("`at`, which is deterministic, is more robust: -")
    assert "averaged over 20 draws" in verdict.basis
    assert "the best of 3 twins" in verdict.basis
    assert [round(one.clean.rate, 1) for one in verdict.estimates] == [0.9, 0.9, 1.0, 0.8]


@pytest.mark.parametrize("flagged", ["net", "net, mean network"])
def test_a_warning_on_either_network_replaces_the_claim(flagged):
    store = pair(0.8, 0.4)
    change = difference(store)
    right = np.ones((DRAWS if flagged == "net" else 1, EXAMPLES), bool)
    part, owner = ("table", {}) if flagged == "net" else ("twins", {"twin_of": "net"})
    flat = Claim(**claim(Records(), flagged, right, attack="apgd-ce", part=part, **owner).model_dump())
    store.add([flat])
    counts = {"label": 0, "distance": 0.1, "forwards": 1, "backwards": 10, "flat": 10}
    for i in range(EXAMPLES):
        store.add([Example(claim=flat.id, example=i, answers={"single": pack(right[:, i])}, **counts)])
    verdict = headline(store)
    assert verdict.tone == "flagged"
    assert verdict.claim == f"Do not quote these rates: red flag zero-gradients on `{flagged}`"
    assert verdict.basis.startswith(f"The difference of {change.points} may only show a weak attack. First: Trust ")
    marked = {one.label: one.flags for one in verdict.estimates if one.flags}
    assert marked == {flagged.removeprefix("net, "): ("zero-gradients",)}
    assert "(flagged: zero-gradients)" in verdict.lines[1]


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_an_unfinished_attack_doubts_its_own_rate_and_no_lower_one(share):
    store = Records()
    claim(store, "net", (np.arange(EXAMPLES) < share * EXAMPLES)[None], attack="apgd-ce")
    right = (np.arange(EXAMPLES) < 0.5 * EXAMPLES)[None]
    line = claim(Records(), "net", right)
    counts = {"label": 0, "distance": 0.1, "forwards": 1, "backwards": 1, "rising": 1.0}
    store.add([line])
    for i in range(EXAMPLES):
        store.add([Example(claim=line.id, example=i, answers={"single": pack(right[:, i])}, **counts)])
    verdict = headline(store)
    assert [flag.flag for flag in raised(store) if flag.level == "warning"] == ["unfinished-attack"]
    assert verdict.tone == ("rate" if share < 0.5 else "flagged")


def test_a_gain_of_the_best_of_many_must_survive_the_choice():
    store = pair(0.56, 0.5)
    lone = headline(store)
    assert lone.tone == "gain"
    for number in range(20):
        claim(store, f"weak {number}", answers(0.1))
    chosen = headline(store, None)
    assert chosen.tone == "open"
    assert chosen.claim == f"A gain that the choice among 21 networks may explain: {lone.claim.partition(': ')[2]}"
    assert "`net` is the best of 21 random networks, selected on these examples." in chosen.basis
    assert headline(store, "net") == lone


def test_without_a_twin_the_rate_is_an_upper_bound_and_says_what_is_missing():
    store = Records()
    row = single.row(store, claim(store, "net", answers(0.5)))
    verdict = headline(store)
    assert verdict.tone == "rate"
    rate = f"{percent(row.rate)} % {percent_interval(row.low, row.high)}"
    assert verdict.claim == f"Accuracy of `net` under attack is at most: {rate}"
    assert verdict.basis == (
        "Under `pgd` (linf:0.1), one draw per query, on 60 examples, without a deterministic twin to compare with."
    )


def test_deterministic_networks_are_compared_with_the_next_best():
    store = Records()
    for name, share in (("poor", 0.1), ("good", 0.9), ("fair", 0.4)):
        store.add([network(name, defense="at", random=False)])
        claim(store, name, (np.arange(EXAMPLES) < share * EXAMPLES)[None])
    verdict = headline(store)
    assert verdict.claim.startswith("`good` is more robust than `fair`: +50.0 points [")
    assert [one.label for one in verdict.estimates] == ["good", "fair"]
    assert "`good` is the best of 3 networks, selected on these examples." in verdict.basis
    assert headline(store, "poor").claim.startswith("Accuracy of `poor` under attack is at most: 10.0 % [")


def test_repeated_queries_are_part_of_the_verdict():
    store = Records()
    right = answers(0.7)
    line = claim(Records(), "net", right)
    line = Claim(**line.model_dump(exclude={"deployments"}), deployments=["single", "survive-5", "survive-10"])
    counts = {"label": 0, "distance": 0.1, "forwards": 1, "backwards": 1}
    examples = [
        Example(claim=line.id, example=i, answers={"single": pack(right[:, i])}, **counts) for i in range(EXAMPLES)
    ]
    store.add([line, *examples])
    assert "If the attacker asks 10 times and one wrong answer is enough, " in headline(store).basis


def test_without_an_attack_there_is_no_verdict():
    store = Records()
    claim(store, "net", answers(0.5), attack="clean")
    assert headline(store).lines == [NO_VERDICT]
    assert headline(Records()).tone == "none"


def certified(store, line, *, rate, norm="linf", radius=0.1, **changed):
    """Add what is certified for one draw of a claim's network."""
    facts = {name: getattr(line, name) for name in ("network", "fingerprint", "inputs", "modality", "allowed", "drawn")}
    votes = {"mechanism": "m", "noise": "n", "choosing": 1, "draws": 9, "alpha": 0.1, "votes_of": 1, "asked": EXAMPLES}
    certificate = Certificate(**facts | votes | {"seed": 0} | changed)
    row = ProvedRow(deployment="single", norm=norm, radius=radius, rate=rate, low=rate, high=rate)
    proof = Proved(certificate=certificate.id, norm=norm, radii=[], abstained=0, rows=[row], curve=[row])
    store.add([certificate, proof])


def test_what_is_proved_stands_beside_what_was_measured():
    store = pair(0.8, 0.4)
    line = next(iter(store.claims.values()))
    certified(store, line, rate=0.25)
    measured, twin = headline(store).estimates
    assert (measured.proved.rate, twin.proved) == (0.25, None)
    assert 'class="proved" x1="25.00%"' in rate_strip(measured)
    assert 'class="proved"' not in rate_strip(twin)
    assert "proved at least" in page_text([store])


@pytest.mark.parametrize("other", [{"norm": "l2"}, {"radius": 0.2}, {"inputs": "others"}, {"fingerprint": "other"}])
def test_what_is_proved_of_something_else_is_left_out(other):
    store = pair(0.8, 0.4)
    certified(store, next(iter(store.claims.values())), rate=0.25, **other)
    assert headline(store).estimates[0].proved is None


def test_strips_are_drawn_to_their_scales():
    store = pair(0.8, 0.4)
    verdict = headline(store)
    row = verdict.estimates[0].row
    assert f'class="rate" cx="{100 * row.rate:.2f}%"' in rate_strip(verdict.estimates[0])
    change = verdict.difference
    bound = difference_bound(change)
    assert max(-change.low, change.high) <= bound == 1.0
    assert f'cx="{50 + 50 * change.difference / bound:.2f}%"' in difference_strip(change)
    assert all(0 <= float(x) <= 100 for x in re.findall(r'x[12]?="([-0-9.]+)%"', difference_strip(change)))


def test_numbers_are_written_one_way():
    assert (percent(0.43), percent_interval(0.401, 0.46)) == ("43.0", "[40.1, 46.0]")
    assert (points(-0.018), points_interval(-0.039, 0.004)) == ("-1.8", "[-3.9, +0.4]")
    assert (points(-0.0001), percent(-0.0), percent_range(0.401, 0.46)) == ("+0.0", "0.0", "40-46")
