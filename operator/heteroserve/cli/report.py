"""What a person reads: the forecast beforehand, and what came of it. Pure: values in, text out."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

from heteroserve.cli.course import Course, Readings, what_is_missing
from heteroserve.cli.forecast import ClassForecast, DeploymentForecast, Forecast
from heteroserve.cli.measure import Figures, Measured
from heteroserve.model.deployment import Key

UNMEASURED = "not measured"
Told = Mapping[Key, Mapping[str, int]]


def tell_forecast(forecast: Forecast, length: timedelta, told: Told) -> str:
    """What would happen. `told` are the weights in each status as it is."""
    parts = [f"A drill of the {forecast.target} for {in_words(length)} would do this:"]
    parts += [_deployment(d, told.get(d.key, {})) for d in forecast.deployments]
    if not forecast.deployments:
        parts.append(f"Nothing: no replica of any InferenceDeployment stands on the {forecast.target}.")
    if forecast.others:
        parts.append(f"{_count(forecast.others, 'other InferenceDeployment')} without a replica there: not touched.")
    if forecast.unreadable:
        parts.append(f"Not known, their spec cannot be read: {', '.join(forecast.unreadable)}")
    return "\n\n".join(parts)


def _deployment(found: DeploymentForecast, told: Mapping[str, int]) -> str:
    objective = f"p{found.objective.percentile} within {found.objective.latency_milliseconds:g} ms"
    head = f"{found.key}  ({_demand(found)}; objective: {objective})"
    if found.untouched:
        return f"{head}\n  not affected: {found.untouched}"
    if found.alone:
        nothing = f"nothing else serves {found.key}: the drill would change nothing for it"
        lost = "If they were lost in earnest, nothing would answer."
        return f"{head}\n  {nothing}, its replicas stay in the traffic.\n  {lost}"
    rows = [("CLASS", "OUT", "READY", "WEIGHT", "REQUESTS/S", "CAPACITY/S"), *(_row(c, found) for c in found.classes)]
    rows.append(("together", "", "", "", _number(found.demand_rps), _change(found.before_rps, found.after_rps)))
    return "\n".join((head, *table(rows), *(f"  {line}" for line in _remarks(found, told))))


def _row(found: ClassForecast, deployment: DeploymentForecast) -> tuple[str, ...]:
    before, after, rps = found.before, found.after, deployment.demand_rps
    share = "?" if rps is None else _change(rps * before.weight / 100, rps * after.weight / 100)
    return (
        found.name,
        str(found.drilled or ""),
        _change(before.ready, after.ready),
        _change(before.weight, after.weight),
        share,
        _change(before.capacity_rps, after.capacity_rps),
    )


def _remarks(found: DeploymentForecast, told: Mapping[str, int]) -> list[str]:
    lines = [_verdict(found)]
    more = [f"{c.name} {_change(c.before.replicas, c.after.replicas)}" for c in found.classes if _grows(c)]
    if more:
        lines.append(f"replicas asked for meanwhile: {', '.join(more)}")
    planned = {c.name: c.before.weight for c in found.classes}
    if told and any(told.get(name, 0) != weight for name, weight in planned.items()):
        weights = ", ".join(f"{name} {weight}" for name, weight in told.items())
        lines.append(f"the weights in its status are others ({weights}): the operator sees more than is seen from here")
    return lines


def _grows(found: ClassForecast) -> bool:
    return found.after.replicas > found.before.replicas


def _verdict(found: DeploymentForecast) -> str:
    if found.breaks:
        return f"{'MAY BREAK' if found.demand_rps is None else 'BREAKS'} the objective: {found.breaks}"
    if found.demand_rps is None:
        return "no demand is known, and no capacity is lost"
    tight = next((load for load in found.loads if load.rps > load.planned_rps), None)
    if tight:
        to = f" to {tight.to}" if tight.to else ""
        planned = f"{_number(tight.rps)} requests/s{to} are more than the {_number(tight.planned_rps)} planned for"
        return f"tight: {planned}, and less than the {_number(tight.most_rps)} that can be done within the objective"
    return f"fits: {_number(found.demand_rps)} of {_number(found.after_rps)} requests/s that stay"


def _demand(found: DeploymentForecast) -> str:
    return "demand: not known" if found.demand_rps is None else f"last known demand: {found.demand_rps:.4g} requests/s"


def tell_course(course: Course, measured: Measured) -> str:
    """What came of a drill."""
    seconds = timedelta(seconds=round((course.ended - course.began).total_seconds()))
    parts = [
        f"Drill of the {course.target}, {course.began:%H:%M:%SZ} to {course.ended:%H:%M:%SZ} ({in_words(seconds)})"
    ]
    if course.broken_off:
        parts.append(f"Broken off: {course.broken_off}")
    if course.left_behind:
        parts.append(f"The annotation is left behind: {course.left_behind}")
    parts += [_what_came(key, course, measured) for key in course.away_seconds]
    parts.append(_on_the_figures(measured))
    return "\n\n".join(parts)


def _what_came(key: Key, course: Course, measured: Measured) -> str:
    away, back = course.away_seconds[key], course.back_seconds[key]
    gone = "the traffic did not go" if away is None else f"traffic away after {away:.0f} s"
    came = _not_back(key, course) if back is None else f"back in full {back:.0f} s after the end"
    rows = [("WEIGHTS", *course.before[key].weights)]
    rows += [(name, *_weights(key, readings, rows[0][1:])) for name, readings in _moments(course).items()]
    lines = [str(key), f"  {gone}; {came}", *table(rows)]
    if measured.phases:
        lines += ["", *table(_figures(key, measured))]
    return "\n".join(lines)


def _not_back(key: Key, course: Course) -> str:
    missing = what_is_missing(course.after[key], course.target, course.before[key], course.over)
    return f"not seen back: {missing}" if missing else "not seen back"


def _moments(course: Course) -> dict[str, Readings]:
    return {"before": course.before, "during": course.during, "after": course.after}


def _weights(key: Key, readings: Readings, names: Sequence[str]) -> list[str]:
    return [str(readings[key].weights.get(name, "gone")) if key in readings else "?" for name in names]


def _figures(key: Key, measured: Measured) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [("REQUESTS", "ROUTE", "PER SECOND", "ANSWERED", "FAILED", "P99 IN MS")]
    for name, phase in measured.phases.items():
        found: list[tuple[str, ...]] = [(name, *_route(figures)) for figures in phase.get(key, ())]
        rows += found or [(name, UNMEASURED)]
    return rows


def _route(figures: Figures) -> tuple[str, ...]:
    p99 = UNMEASURED if figures.p99 is None else f"{figures.p99[0]:g} to {figures.p99[1]:g}"
    return figures.route, f"{figures.rps:.1f}", f"{figures.answered:.0f}", f"{figures.failed:.0f}", p99


def _on_the_figures(measured: Measured) -> str:
    if not measured.phases:
        return f"Requests, failures and latency are {UNMEASURED}: {measured.missing}."
    meaning = (
        "By the gateway's counters, as of their last scrape. Failed: answered with a 5xx, after the gateway's retries; "
        "an error\nthat a model tells in a gRPC trailer is not among them. p99: the bucket that it lies in."
    )
    return f"The return was {UNMEASURED}: {measured.missing}.\n\n{meaning}" if measured.missing else meaning


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns, the first to the left, indented by two."""
    columns = max(len(row) for row in rows)
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(columns)]
    return ["  " + "  ".join(_cell(cell, widths[i], i) for i, cell in enumerate(row)).rstrip() for row in rows]


def _cell(text: str, width: int, column: int) -> str:
    return text.ljust(width) if column == 0 else text.rjust(width)


def in_words(length: timedelta) -> str:
    """A length of time as --for takes it."""
    minutes, seconds = divmod(int(length.total_seconds()), 60)
    hours, minutes = divmod(minutes, 60)
    found = "".join(f"{number}{unit}" for number, unit in ((hours, "h"), (minutes, "m"), (seconds, "s")) if number)
    return found or "0s"


def _change(before: float, after: float) -> str:
    return _number(before) if _number(before) == _number(after) else f"{_number(before)} -> {_number(after)}"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")
