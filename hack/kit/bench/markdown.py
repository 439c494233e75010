"""The summary as a page's Markdown: a row per fault, the ways beside each other, and every failure.

Pure. Rows stand in the order of the table of faults. Limits are the operator's; of the comparisons only what failed is
told, per trial: how often they were held differs.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from kit.bench import summary
from kit.bench.faults import FAULTS
from kit.bench.summary import AFTER_RETURN, CAPACITY, IN_FORCE, Figure, Row, grouped, many
from kit.bench.trial import TARGETS, Target, Trial
from kit.table import NOTHING

WAYS: dict[Target, str] = {"operator": "operator", "service": "plain Service", "route": "untuned route"}
FAULTS_HEAD = {
    "fault": "---",
    "trials": "--:",
    "requests sent": "--:",
    "failed": "--:",
    "weights in force, s: p50 / p99 / max": "--:",
    "limit, s": "--:",
    "capacity back, s: p50 / max": "--:",
    "never / broken": "--:",
}
NOTES = """\
p50, p99 and max are over all trials of a row; "never" is longer than anything. ¹ Counted from when the operator or the
API server was back. "never / broken": trials in which the weights never followed, and trials that were not held to
their end."""

SHORTFALLS = """\
Every trial that was not held to its end, then every limit that did not hold or was not measured, and over the
operator's way every request that failed:"""


def page(trials: Sequence[Trial]) -> str:
    """All of it."""
    ours = [trial for trial in trials if trial.target == "operator"]
    parts = [f"{summary.about(trials)}; {_days(trials)}."]
    if ours:
        parts += [_faults(ours), NOTES]
    if len({trial.target for trial in trials}) > 1:
        parts += ["Failed requests per trial, by the way of the requests:", _ways(trials)]
    return "\n\n".join([*parts, *_complaints(trials, ours)])


def _days(trials: Sequence[Trial]) -> str:
    days = sorted({trial.began[:10] for trial in trials})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def table(head: Mapping[str, str], rows: Sequence[Sequence[str]]) -> str:
    """A table; ``head`` says how each column stands."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (list(head), list(head.values()), *rows))


def _faults(trials: Sequence[Trial]) -> str:
    usual = _usual(trials)
    return table(FAULTS_HEAD, [_fault(summary.rows(group)[0], usual) for group in grouped(trials).values()])


def _usual(trials: Sequence[Trial]) -> float:
    """The rate of most trials, which need not be said in each row."""
    return Counter(trial.rate for trial in trials).most_common(1)[0][0]


def _named(fault: str, rate: float, usual: float) -> str:
    return f"`{fault}`" if rate == usual else f"`{fault}`, {rate:g}/s"


def _fault(row: Row, usual: float) -> list[str]:
    figures = {figure.name: figure for figure in row.figures}
    weights, capacity = figures.get(AFTER_RETURN, figures.get(IN_FORCE)), figures.get(CAPACITY)
    limit = FAULTS[row.fault].in_force
    return [
        _named(row.fault, row.rate, usual),
        str(row.trials),
        f"{row.sent:,}",
        f"{row.failed:,}" + (f" and {row.wrong:,} wrong" if row.wrong else ""),
        _values(weights, "p50", "p99", "max") + (" ¹" if AFTER_RETURN in figures else ""),
        NOTHING if limit is None else f"{limit:g}",
        _values(capacity, "p50", "max"),
        f"{weights.never if weights else NOTHING} / {row.broken}",
    ]


def _values(figure: Figure | None, *names: str) -> str:
    return " / ".join(summary.number(getattr(figure, name)) for name in names) if figure else NOTHING


def _ways(trials: Sequence[Trial]) -> str:
    """The faults that were held over several ways."""
    usual = _usual(trials)
    head = {"fault": "---", **dict.fromkeys(WAYS.values(), "--:")}
    groups = {name: _by_way(group) for name, group in grouped(trials).items()}
    rows = [
        [_named(fault, rate, usual), *(_per_trial(ways.get(target, ())) for target in TARGETS)]
        for (fault, rate), ways in groups.items()
        if len(ways) > 1
    ]
    return table(head, rows)


def _by_way(trials: Sequence[Trial]) -> dict[str, list[Trial]]:
    ways: dict[str, list[Trial]] = {}
    for trial in trials:
        ways.setdefault(trial.target, []).append(trial)
    return ways


def _per_trial(trials: Sequence[Trial]) -> str:
    if not trials:
        return NOTHING
    failed, sent = fmean(t.failed + t.wrong for t in trials), fmean(t.sent for t in trials)
    return f"{failed:,.1f} of {sent:,.0f} ({many(trials)})"


def _complaints(trials: Sequence[Trial], ours: Sequence[Trial]) -> Iterator[str]:
    """A comparison's failures are in its table: there are hundreds of them."""
    if lines := list(summary.complaints(trials, requests_of=TARGETS[:1])):
        yield SHORTFALLS
        yield "\n".join(["```text", *lines, "```"])
    elif ours:
        yield f"No request failed and every limit held over the operator's way, in {many(ours)}."
