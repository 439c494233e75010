"""What a decision leaves behind: one Event, one log line, one count, and the gauges."""

import asyncio
import logging
from dataclasses import replace

import pytest
from prometheus_client import REGISTRY

import builders
from heteroserve import kube, loop, telemetry
from heteroserve.loop import Loop
from heteroserve.model.plan import Plan
from heteroserve.observe.store import Wish
from heteroserve.settings import Settings

LABELS = {"deployment_namespace": "demo", "deployment": "digits"}


class Api:
    """Takes every write, and keeps the Events."""

    def __init__(self) -> None:
        self.events: list[builders.JSON] = []

    async def get(self, kind: kube.Kind, namespace: str, name: str) -> None:
        return None

    async def apply(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        return {**body, "metadata": {**body["metadata"], "uid": "u", "resourceVersion": "2"}}

    async def replace_spec(
        self, kind: kube.Kind, namespace: str, name: str, spec: builders.JSON, *, uid: str
    ) -> builders.JSON:
        return {**builders.raw(kind.kind, name, namespace=namespace), "spec": spec}

    async def replace_status(
        self, kind: kube.Kind, namespace: str | None, name: str, status: builders.JSON, *, uid: str
    ) -> builders.JSON:
        return builders.raw_deployment(status=status)

    async def create(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        self.events.append(body)
        return body


@pytest.fixture(autouse=True)
def _listening(caplog: pytest.LogCaptureFixture) -> None:
    telemetry.forget_deployment(builders.KEY)
    caplog.set_level(logging.INFO, logger="heteroserve")


def cycle(api: Api) -> Wish:
    """One visit of a deployment of which there is nothing yet, on one class."""
    operator = Loop(Settings(), api)  # type: ignore[arg-type]
    for kind, raw in (
        (kube.INFERENCE_DEPLOYMENT, builders.raw_deployment()),
        (kube.HARDWARE_CLASS, builders.raw_hardware()),
        (kube.NODE, builders.raw_node("cpu-0", metadata={"labels": {"pool": "cpu"}})),
    ):
        operator._store.put(kind, raw)
    asyncio.run(operator.reconcile(builders.KEY, operator._store.wishes()[builders.KEY]))
    return operator._store.wishes()[builders.KEY]


def counted(reason: str) -> float | None:
    return REGISTRY.get_sample_value("heteroserve_decisions_total", {**LABELS, "reason": reason})


def logged(caplog: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    fields = ("deployment", "class", "before", "after", "reason", "cause")
    return [tuple(vars(r)[name] for name in fields) for r in caplog.records if r.message == "decision"]


CAUSE = "a replica carries 75 requests/s; one request/s costs 0.0013 per hour here"


def test_a_decision_leaves_one_event_one_log_line_one_count_and_its_record(caplog: pytest.LogCaptureFixture) -> None:
    api = Api()
    status = cycle(api).status
    told = [(e["reason"], e["note"]) for e in api.events if e["action"] == "Decide"]
    assert told == [("DemandCovered", f"cpu: 0 replicas -> 1 replica: {CAUSE}")]
    assert logged(caplog) == [("demo/digits", "cpu", "0 replicas", "1 replica", "DemandCovered", CAUSE)]
    assert counted("DemandCovered") == 1
    assert [(d["class"], d["from"], d["to"], d["reason"]) for d in status["decisions"]] == [
        ("cpu", "0 replicas", "1 replica", "DemandCovered")
    ]


FREEZE = builders.decision("", before="acting", after="frozen", reason="ViewInDoubt", message="2 of 3 nodes")


def test_that_we_stop_acting_leaves_the_same(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "decide", lambda _: builders.plan(decisions=(FREEZE,), held=True, doubt="2 of 3 nodes"))
    api = Api()
    cycle(api)
    told = [(e["reason"], e["note"]) for e in api.events if e["action"] == "Decide"]
    assert told == [("ViewInDoubt", "operator: acting -> frozen: 2 of 3 nodes")]
    assert logged(caplog) == [("demo/digits", "", "acting", "frozen", "ViewInDoubt", "2 of 3 nodes")]
    assert counted("ViewInDoubt") == 1


# --- Gauges ----------------------------------------------------------------------------------------------------------

PLAN = builders.plan(
    builders.class_plan("cpu", 3, ready=2, weight=20),
    builders.class_plan("gpu", 1, weight=80),
    demand=builders.demand(950),
)


def shown(name: str, **labels: str) -> float | None:
    return REGISTRY.get_sample_value(f"heteroserve_{name}", {**LABELS, **labels})


def gauges(class_name: str) -> tuple[float | None, ...]:
    names = ("class_weight", "class_replicas", "class_ready_replicas", "class_capacity_rps")
    return tuple(shown(name, **{"class": class_name}) for name in names)


def report(*plans: Plan) -> None:
    for plan in plans:
        telemetry.report_plan(builders.KEY, plan)


def test_a_plan_is_shown() -> None:
    report(PLAN)
    assert (gauges("cpu"), gauges("gpu")) == ((20, 3, 2, 200), (80, 1, 1, 1000))
    assert shown("demand_rps") == 950
    assert shown("cost_per_hour") == pytest.approx(1.0)


def test_while_no_demand_is_known_the_last_one_is_shown() -> None:
    report(PLAN, replace(PLAN, demand=builders.demand(None)))
    assert shown("demand_rps") == 950


def test_a_class_that_is_gone_is_not_shown_and_the_others_are() -> None:
    report(PLAN, replace(PLAN, classes=PLAN.classes[1:]))
    assert (gauges("cpu"), gauges("gpu")) == ((None,) * 4, (80, 1, 1, 1000))


def test_of_a_deployment_that_is_gone_nothing_is_shown() -> None:
    report(replace(PLAN, decisions=(FREEZE,)))
    assert counted("ViewInDoubt") == 1
    telemetry.forget_deployment(builders.KEY)
    assert (gauges("gpu"), shown("demand_rps"), shown("cost_per_hour"), counted("ViewInDoubt")) == (
        (None,) * 4,
        None,
        None,
        None,
    )
