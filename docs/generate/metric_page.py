"""The page on metrics, generated from their declared facts and from what ``chosen`` chooses."""

from __future__ import annotations

import torch
from docs.generate.entry_text import cell, cited, linked, ours
from torch import Tensor

from variate.metrics.bootstrap import RESAMPLES
from variate.metrics.choose import chosen
from variate.registry import Entry
from variate.statistics.prevalence import RATIO

TASKS = {
    "classes": "One of several classes, yes or no, several labels at once",
    "positions": "A class for every position",
    "regression": "Numbers",
    "transcript": "Sequences of symbols",
}
HEAD = ["| metric | what it is | better | needs | source |", "|:--|:--|:--|:--|:--|"]


def metric_page() -> str:
    """The page, in Markdown."""
    lines = [INTRODUCTION, "## What there is", ""]
    for task, title in TASKS.items():
        entries = [entry for entry in ours("metrics") if task in entry.facts["tasks"]]
        lines += [f"### {title}", "", *HEAD, *(_row(entry) for entry in entries), ""]
    lines += [OVER_LABELS, UNCERTAINTY, "## What `auto` chooses", "", AUTO, "| data | metrics, and why |", "|:--|:--|"]
    lines += [_choice(*case) for case in _cases()]
    return "\n".join([*lines, "", INTERVALS]).rstrip() + "\n"


def _row(entry: Entry) -> str:
    facts = entry.facts
    columns = [linked(entry), cell(entry.summary), facts["better"] or "neither", facts["needs"], cited(facts["cite"])]
    return f"| {' | '.join(columns)} |"


def _choice(title: str, task: str, y: Tensor, wishes: dict[str, object]) -> str:
    found = chosen(task, y, **wishes)  # type: ignore[arg-type]
    return f"| {title} | {'<br>'.join(f'`{one.name}`: {cell(one.why)}' for one in found)} |"


def _cases() -> list[tuple[str, str, Tensor, dict[str, object]]]:
    """Labels that differ in what matters to the choice."""
    equal, skewed = torch.arange(3).repeat(100), torch.arange(500).ge(433).long()
    rare = torch.stack([torch.arange(100).lt(50), torch.arange(100).lt(5)], 1).long()
    masks = torch.zeros(1, 40, 40, dtype=torch.long)
    masks[0, 5:20, 5:20], masks[0, 30, 30] = 1, 2
    return [
        ("three classes, equally frequent", "classes", equal, {}),
        ("433 ham and 67 spam", "classes", skewed, {}),
        ("ham and spam, where to lose a ham costs five times as much", "classes", skewed, {"costs": "0 5; 1 0"}),
        ("three classes in an order", "classes", equal, {"ordinal": True}),
        ("two labels, one of them on 5 of 100 examples", "labels", rare, {}),
        ("masks with a large and a small object", "positions", masks, {}),
        ("numbers within 0.5", "regression(tolerance=0.5)", torch.arange(9.0), {}),
        ("strings of ten symbols", "transcript(symbols=10)", torch.arange(9)[None], {}),
    ]


INTRODUCTION = """# Metrics that fit the problem

Accuracy misleads where one class is frequent, where errors differ in cost, or where what matters is small: a network
that calls every mail harmless is right for 87 of 100, and no attack can change that. A *metric* measures the answers
of a network for a task over the whole data set, with an interval over examples **and draws**:

```
variate evaluate runs/a --metric auto                              # those that fit the labels, and why
variate evaluate runs/a --metric mcc --metric "f-beta(beta=2)"
```

They stand below the rates and in the report: clean, under every attack, and for a random network the clean difference
to its mean network on the same examples, which says whether the performance of the task is kept. They take the outputs
of all examples under the first 16 draws of the verdict, of one draw and of the first `mean-S`, so all examples must be
judged in one process and call; clean ones are judged once more if need be. In Python it is `evaluate(...,
metrics=["auto"])`, and for outputs of your own:

```python
import torch
from variate.metrics.measure import kept, measure

y = torch.arange(500).ge(433).long()                                 # 433 ham, 67 spam
outputs = torch.stack([2 - 3.0 * y, 3.0 * y - 2], 1) + torch.randn(16, 500, 2)     # logits of 16 draws
for found in measure("classes", outputs, y):                         # what fits these labels
    print(f"{found.name} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]: {found.why}")

twin = outputs.mean(0, keepdim=True)                                 # a deterministic network
for found in kept("classes", outputs, twin, y, names=["mcc"]):       # what randomness costs
    print(f"{found.name} {found.value:+.3f} [{found.low:+.3f}, {found.high:+.3f}]")
```

Outputs are those of fresh draws that no attack has seen. `rule` says how they answer: `single` (a draw a query),
`mean-S` or `majority-S`; a vote has no probabilities. Options go in brackets: `f-beta(beta=2)`,
`sensitivity(fpr=0.01)`, `expected-cost(costs='0 5; 1 0')`. `kept` is the difference to a twin on the same examples.
`variate list metrics` prints the list; [each metric in full](entries/metrics.md) has the formulas.
"""
OVER_LABELS = """Over several labels, a metric is the mean of each label's. Where there are three or more classes,
metrics that rank examples take each class against the rest, and average.
"""
UNCERTAINTY = """## Uncertainty, and answers withheld

Draws that disagree are what users of Bayesian networks come for. With p_s the probabilities under draw s and m their
mean, `variate.uncertainty` asks a network under fresh draws and says, for every input and in nats:

| quantity | formula | range |
|:--|:--|:--|
| predictive entropy | H(m) | 0 to log K |
| mutual information of answer and draw (BALD) | H(m) - mean H(p_s) | 0 where all draws agree, to H(m) |
| expected pairwise KL | mean of KL(p_s, p_t) over different draws | from the mutual information, without bounds |

```python
import torch
import variate

net = variate.randomize(torch.nn.Linear(4, 3), scale=0.5)
found = variate.uncertainty(net, torch.rand(8, 4), draws=32)          # fresh draws; seed=0 repeats them
found.labels, found.confidence                                        # of the mean over draws
found.entropy, found.mutual_information, found.pairwise_kl            # (8,) each
served = variate.Served(net.eval(), draws=32)
served.uncertainty(torch.rand(8, 4)).mutual_information               # the draws of one answer
```

The same three as metrics are means over all examples, clean and under every attack, of all draws that are measured or,
for `mean-S`, of the S draws that answer together; `aurc` is what is gained by withholding answers:

```
variate evaluate runs/a --metric predictive-entropy --metric mutual-information --metric expected-pairwise-kl \\
  --metric aurc --metric "aurc(by=entropy)" --metric "aurc(by=mutual-information)"
```

The mutual information of S draws is at most log S, and below that of many draws; compare it at equal S. A network can
be sure and wrong: under attack, look at `aurc` and not at the mutual information alone.

A curve of accuracy against coverage, in every [report](report.md#selective-accuracy), tries all thresholds and chooses
none. The threshold to deploy comes from validation data, and is judged on the test split:

```python
import numpy as np
from variate.statistics.selective import at_threshold, selective, threshold

validation, certainty = np.random.rand(500), np.random.rand(500)     # such as confidence, or minus an entropy
right = np.random.rand(500) < certainty
least = threshold(validation, coverage=0.8)                           # answers 80 % of the validation examples
point = at_threshold(certainty, right, least)
print(f"{point.coverage:.2f} answered, {point.accuracy:.2f} [{point.low:.2f}, {point.high:.2f}] right")
print(f"AURC {selective(certainty, right).area:.3f}")
```
"""

AUTO = f"""`auto` looks at the labels, and takes what you know of the problem and they do not say: `ordinal`
(classes have an order), `costs` (a row for each label, a column for each answer) and `small_structures`:

```
variate evaluate runs/a --metric "auto(ordinal=yes)"
variate evaluate runs/a --metric "auto(costs='0 1; 5 0')"
```

In Python it is `metrics=["auto(ordinal=yes)"]`; `variate.metrics.choose.chosen(task, y, ordinal=True)` chooses alone.
Classes count as unequal if one has {RATIO} times as many examples as another, beyond chance; the flag
[accuracy-misleads](flags/accuracy-misleads.md) is then raised as well.
"""
INTERVALS = f"""## Intervals

- A mean of numbers in [0, 1], such as accuracy, has the interval of a [rate](evaluate.md), over examples and draws.
- Any other metric is computed on {RESAMPLES:,} resamples of examples and of draws, drawn independently (Owen 2007). The
  ends are percentiles, moved outward as the t quantile is, because few draws vary less in resamples than they do
  (Hesterberg 2015).
- A class that was always answered right among a few examples does not vary in resamples. So every resample for the
  lower end has one more example, of a class chosen at random, that is answered wrong, with an exponential weight; the
  one for the upper end, one that is answered right. For a share of right answers this gives the exact binomial
  interval.
- Chance inflates the calibration error; its interval is reflected about the estimate.
- The same seed gives the same interval. Tests hold every metric to scikit-learn's or torchmetrics' value, with and
  without weights, and every kind of interval to its coverage of networks whose metric is known.
"""
