"""Reports: made from records alone, saying the same numbers, and asking nothing of the network."""

import base64
import gzip
import hashlib
import html
import re
from collections import Counter
from html.parser import HTMLParser

import numpy as np
import pytest
import torch
from claims import JUDGED

from variate.evaluation.evaluate import evaluate
from variate.flags.raise_flags import raised
from variate.records.bits import pack
from variate.records.claim import Claim
from variate.records.file import Records
from variate.records.rows import over_seeds, result_of
from variate.records.schema import Example, NetworkLine, Scale
from variate.report.page import page_text, write_page
from variate.report.sentences import verdict
from variate.report.table import grid, markdown, print_study, study_rows, tables, with_seeds
from variate.statistics import resampling


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """A random network and its mean network, under two attacks, with curves, scales and pictures."""
    from variate.random.randomize import randomize

    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    net = randomize(plain.eval(), scale=0.3)
    x = torch.rand(30, 1, 4, 4)
    y = plain(x).argmax(1)
    store = Records(tmp_path_factory.mktemp("records") / "records.jsonl")
    for name, network in (("random", net), ("deterministic", plain)):
        facts = {"architecture": "mlp", "defense": name, "objective": "cross-entropy", "parameters": 1, "epochs": 1}
        more = {"seed": 0, "fingerprint": "f", "training": {}, "validation": None, "seconds": 1.0}
        store.add([NetworkLine(network=name, random=network is net, **facts, **more)])
        attacks = [
            {"name": "fgsm", "draws": 2},
            {"name": "pgd", "steps": 3, "draws": 2},
            {"name": "transfer", "steps": 3},
        ]
        evaluate(network, x, y, budget="linf:0.2", attacks=attacks, records=store, name=name, pictures=True)
        for size in ("0", "0.1", "0.3"):
            options = {"records": store, "name": name, "part": "sizes"}
            evaluate(network, x, y, budget=f"linf:{size}", attacks=["fgsm"], draws=2, **options)
    for draws in (1, 2, 4):
        options = {"records": store, "name": "random", "part": "draws"}
        evaluate(net, x, y, budget="linf:0.2", attacks=["fgsm"], draws=draws, **options)
    for steps in (1, 2):
        attack = {"name": "pgd", "steps": steps, "draws": 2}
        evaluate(net, x, y, budget="linf:0.2", attacks=[attack], records=store, name="random", part="steps")
    sizes = net.sizes()
    for name, std in net.stds().items():
        numbers = {"std_rms": 0.1, "std_min": float(std.detach().min()), "std_max": float(std.detach().max())}
        store.add([Scale(network="random", parameter=name, elements=1, mean_rms=float(sizes[name]), **numbers)])
    return store


@pytest.fixture(scope="module")
def page(records, tmp_path_factory):
    return write_page([records], tmp_path_factory.mktemp("page") / "report.html").read_text()


class Elements(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def test_the_page_needs_nothing_from_elsewhere(page):
    elements = Elements(page).found
    assert not [tag for tag, _ in elements if tag in ("link", "iframe", "object")]
    (policy,) = [a["content"] for _, a in elements if a.get("http-equiv") == "Content-Security-Policy"]
    script = page.partition("<script>")[2].partition("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    )
    assert "eval(" not in script
    for tag, attributes in elements:
        for name in ("src", "href", "xlink:href", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, value)
    assert "@import" not in page
    assert not re.search(r"url\((?!['\"]?#)", page)


def test_the_page_shows_figures_pictures_with_alternatives_and_every_rate(page, records):
    elements = Elements(page).found
    titles = [attributes["aria-label"] for tag, attributes in elements if tag == "svg" and "viewbox" in attributes]
    assert [title.removeprefix("Accuracy against the ") for title in titles] == [
        "size of the budget, linf", "number of attack draws", "steps of the attack", "number of repeated queries",
        "Learned scales", "Reliability of random", "Reliability of deterministic",
        "Accuracy against coverage of random", "Accuracy against coverage of deterministic",
    ]  # fmt: skip
    images = [attributes for tag, attributes in elements if tag == "img"]
    assert len(images) == 2 * 6 * 3
    assert all(image["alt"] for image in images)
    shown = page.replace('<span class="unseen"> lowest</span>', "")
    for row in study_rows(records, "table"):
        assert f"{100 * row.rate:.1f}<small>[{100 * row.low:.1f}, {100 * row.high:.1f}]</small>" in shown


def test_every_flag_is_shown_with_its_networks_and_its_remedy_once(page, records):
    found = raised(records)
    assert found
    text = html.unescape(page)
    for flag in found:
        assert re.search(
            rf"<p><b>[^<]*{re.escape(flag.network)}[^<]*</b>: {re.escape('; '.join(flag.findings))}</p>", text
        )
        levels = {(one.flag, one.level) for one in found if one.remedy == flag.remedy}
        assert text.count(f"<b>Remedy.</b> {flag.remedy}") == len(levels)


def test_the_page_is_rebuilt_from_the_records_alone(page, records, tmp_path):
    packed = tmp_path / "records.jsonl.gz"
    packed.write_bytes(gzip.compress(records.path.read_bytes()))
    assert write_page([Records(packed)], str(tmp_path / "again.html")).read_text() == page


def test_rates_read_back_are_the_rates_that_were_judged(records):
    rows = result_of(Records(records.path), list(records.claims.values())).rows
    assert rows == result_of(records, list(records.claims.values())).rows


def test_a_deterministic_network_has_one_line_under_every_column(records):
    content = grid(study_rows(records, "table"))
    lines = [line for line in content.lines if line[0] == "deterministic"]
    assert lines == [("deterministic", "any")]
    assert all((lines[0], column) in content.cells for column in content.columns)
    assert [attack for attack, _, _ in content.columns] == ["clean", "fgsm", "pgd", "transfer"]


def test_the_verdict_names_the_strongest_attack_and_the_deterministic_twin(records):
    sentences = verdict(records)
    rows = [
        r
        for r in study_rows(records, "table")
        if r.attack != "clean" and (r.network, r.deployment) == ("random", "single")
    ]
    worst = min(rows, key=lambda row: row.rate)
    assert len(sentences) == 1
    assert worst.percent in sentences[0]
    assert "best deterministic network, deterministic" in sentences[0]


@pytest.mark.parametrize("columns", [20, 40])
def test_in_a_narrow_terminal_every_rate_has_a_line_and_no_number_is_cut(records, capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_study(records)
    printed = capsys.readouterr().out
    for row in study_rows(records, "table"):
        assert f"  {100 * row.rate:.1f} {100 * row.low:.0f}-{100 * row.high:.0f}  {row.attack}" in printed


def test_the_table_prints(records, capsys):
    print_study(records)
    printed = capsys.readouterr().out
    assert "survive-10" in printed
    assert "deterministic" in printed


def test_markdown_says_the_same(records):
    text = markdown(records)
    for row in study_rows(records, "table"):
        assert row.percent in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {7}  # six columns


def test_an_interval_over_seeds_is_a_t_interval_and_says_nothing_where_nothing_varied():
    three = over_seeds([0.6, 0.7, 0.8])
    half = 4.302653 * 0.1 / 3**0.5  # the t quantile of two degrees of freedom, from a table
    assert (three.rate, three.std, three.seeds) == (pytest.approx(0.7), pytest.approx(0.1), 3)
    assert three.interval == (pytest.approx(0.7 - half, abs=1e-6), pytest.approx(0.7 + half, abs=1e-6))
    assert over_seeds([0.1, 0.9]).interval == (0.0, 1.0)
    assert over_seeds([1.0, 1.0]).percent == "100.0 ± 0.0"


@pytest.fixture
def seeds(x, y):
    """Two networks of one seed each and their twins, beside one that has a single seed."""
    from variate.random.randomize import randomize

    store = Records()
    names = [("random, seed 1", 1), ("random, seed 10", 10), ("alone, seed 1", 1)]
    for name, seed in names:
        facts = {"architecture": "mlp", "defense": "d", "objective": "cross-entropy", "parameters": 1, "epochs": 1}
        more = {"seed": seed, "fingerprint": "f", "training": {}, "validation": None, "seconds": 1.0}
        group = name.removesuffix(f", seed {seed}")
        store.add([NetworkLine(network=name, random=True, **facts, **more)])
        torch.manual_seed(seed)
        net = randomize(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval(), scale=0.3)
        judged = {"budget": "linf:0.1", "attacks": ["fgsm"], "verdict_draws": 32, "records": store, "seed": seed}
        evaluate(net, x, y, name=name, group=group, deployments=["single", "mean-16"], **judged)
        mean = {"name": f"{name}, mean network", "group": f"{group}, mean network", "part": "twins"}
        evaluate(net.mean(), x, y, deployments=["single"], **mean, **judged)
    return store


def test_seeds_of_a_network_have_a_line_over_them_below_their_own(seeds):
    content, twins = (with_seeds(one, seeds) for _, one in tables(seeds))
    ((last, lines),) = content.seeds.items()
    assert last == ("random, seed 10", "mean-16")
    assert list(lines) == [("random, 2 seeds", "single"), ("random, 2 seeds", "mean-16")]
    for deployment in ("single", "mean-16"):
        for column, over in lines["random, 2 seeds", deployment].items():
            rates = [content.cells[(f"random, seed {n}", deployment), column].rate for n in (1, 10)]
            assert over == over_seeds(rates)
    assert len(lines["random, 2 seeds", "single"]) == len(content.columns) == 2
    assert [list(lines) for lines in twins.seeds.values()] == [[("random, mean network, 2 seeds", "any")]]


def test_what_is_not_known_of_every_seed_is_not_said_of_all(seeds, x, y):
    torch.manual_seed(1)
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval()
    judged = {"budget": "linf:0.1", "verdict_draws": 32, "records": seeds, "group": "random"}
    evaluate(plain, x, y, attacks=["pgd(steps=2)"], name="random, seed 2", **judged)
    content = with_seeds(tables(seeds)[0][1], seeds)
    assert "pgd" in [attack for attack, _, _ in content.columns]
    assert all(column[0] != "pgd" for lines in content.seeds.values() for over in lines.values() for column in over)


def test_tables_with_seeds_print_and_say_what_the_lines_are(seeds, records, capsys):
    print_study(seeds)
    printed = capsys.readouterr().out
    assert "random, 2 seeds" in printed
    assert "t interval of the mean" in " ".join(printed.split())
    text = markdown(seeds)
    assert " ± " in text
    assert {line.count("|") for line in text.splitlines() if "2 seeds" in line} == {5}
    assert "t interval" not in markdown(records)


def test_the_verdict_compares_within_one_budget_and_one_data_set(x, y):
    from variate.random.randomize import randomize

    store = Records()
    torch.manual_seed(0)
    plain = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3)).eval()
    good = plain(x).argmax(1)
    networks = {"a random": (True, "a", y), "a plain": (False, "a", y), "b plain": (False, "b", good)}
    for name, (random, data, labels) in networks.items():
        facts = {"architecture": "mlp", "defense": "d", "objective": "cross-entropy", "parameters": 1, "epochs": 1}
        more = {"seed": 0, "fingerprint": "f", "training": {"data": data}, "validation": None, "seconds": 1.0}
        store.add([NetworkLine(network=name, random=random, **facts, **more)])
        for budget in ("linf:0.001", "l2:0.5"):
            network = randomize(plain, scale=0.3) if random else plain
            judged = {"budget": budget, "attacks": ["fgsm"], "verdict_draws": 32, "records": store}
            evaluate(network, x, labels, name=name, deployments=["single"], **judged)
    sentences = verdict(store)
    assert [budget in sentence for budget, sentence in zip(("linf:0.001", "l2:0.5"), sentences, strict=True)] == [
        True
    ] * 2
    assert all("the best deterministic network, a plain" in sentence for sentence in sentences)
    rows = {r.budget: r for r in study_rows(store, "table") if (r.network, r.attack) == ("a plain", "fgsm")}
    assert all(rows[budget].percent in sentence for budget, sentence in zip(rows, sentences, strict=True))


def test_a_report_of_many_networks_unpacks_each_claim_a_few_times_and_resamples_once(monkeypatch):
    generator, store = np.random.default_rng(0), Records()
    for number in range(12):
        draws = 8 if number % 2 else 1
        for attack, budget in (("clean", None), ("fgsm", "linf:0.1"), ("pgd", "linf:0.1"), ("pgd", "linf:0.2")):
            said = {"network": f"n{number}", "fingerprint": f"f{number}", "inputs": "i", "options": {}, "seed": 0}
            said |= {"settings": {}, **JUDGED}
            claim = Claim(
                attack=attack, budget=budget, draws=int(budget is not None), verdict_draws=draws,
                deployments=["single", "survive-3"], **said,
            )  # fmt: skip
            right = generator.random((draws, 20)) < 0.6
            counts = {"label": 0, "distance": 0.1, "forwards": 1, "backwards": 1}
            lines = (
                Example(claim=claim.id, example=i, answers={"single": pack(right[:, i])}, **counts) for i in range(20)
            )
            store.add([claim, *lines])
    unpacked, made = Counter(), Counter()
    answers, counts = Records.answers, resampling._counts
    monkeypatch.setattr(Records, "answers", lambda self, c, s: unpacked.update([c.id]) or answers(self, c, s))
    monkeypatch.setattr(resampling, "_counts", lambda chosen, n: made.update([n]) or counts(chosen, n))
    resampling._cached_blocks.cache_clear()
    first = page_text([store])
    assert max(unpacked.values()) <= 60  # those of the strongest attacks most, against 11 others
    assert sum(unpacked.values()) / len(store.claims) < 20
    assert set(made.values()) == {resampling.RESAMPLES // resampling.BLOCK}
    unpacked.clear()
    assert page_text([store]) == first
    assert sum(unpacked.values()) / len(store.claims) < 16  # rows are known by now


def test_what_was_computed_of_records_is_computed_anew_once_they_grow(records):
    store, made = Records(), []

    def networks() -> int:
        made.append(len(store.networks))
        return made[-1]

    assert store.once("networks", networks) == store.once("networks", networks) == 0
    store.add(records.networks.values())
    assert store.once("networks", networks) == 2
    assert made == [0, 2]
