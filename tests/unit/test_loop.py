"""The loop, with an API server in memory that takes a status and puts every other write off."""

import asyncio

import pytest

import builders
from clock import now, run
from heteroserve import kube
from heteroserve.errors import Retry
from heteroserve.loop import Loop
from heteroserve.observe.metrics import FleetSamples, Prometheus
from heteroserve.settings import Settings

MESSAGE = 'Deployment: 500 failed calling webhook "check.example.com"'


class Api:
    """One InferenceDeployment and one HardwareClass, the statuses that were written, and when an apply was tried."""

    def __init__(self) -> None:
        self.objects = {raw["kind"]: raw for raw in (builders.raw_deployment(), builders.raw_hardware())}
        self.tries: list[float] = []
        self.events: list[str] = []
        self.version = 1

    async def list(self, kind: kube.Kind) -> list[builders.JSON]:
        return [raw for name, raw in self.objects.items() if name == kind.kind]

    async def get(self, kind: kube.Kind, namespace: str, name: str) -> None:
        return None

    async def apply(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        self.tries.append(now())
        raise Retry("ApiUnavailable", MESSAGE)

    async def replace_status(
        self, kind: kube.Kind, namespace: str | None, name: str, status: builders.JSON, *, uid: str
    ) -> builders.JSON:
        self.version += 1
        old = self.objects[kind.kind]
        metadata = {**old["metadata"], "resourceVersion": str(self.version)}
        self.objects[kind.kind] = {**old, "metadata": metadata, "status": status}
        return self.objects[kind.kind]

    async def create(self, kind: kube.Kind, body: builders.JSON) -> builders.JSON:
        self.events.append(body["reason"])
        return body


@pytest.fixture(autouse=True)
def _no_prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fetch(self: Prometheus) -> FleetSamples:
        return FleetSamples()

    monkeypatch.setattr(Prometheus, "fetch", fetch)


async def live(api: Api, seconds: float) -> None:
    """The operator, for so long."""
    working = asyncio.create_task(Loop(Settings(prometheus_url="http://prometheus"), api).run())  # type: ignore[arg-type]
    await asyncio.sleep(seconds)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)


def test_the_tick_leaves_growing_pauses_to_what_fails() -> None:
    api = Api()
    run(live(api, 29))  # the tick comes every 5 s
    assert api.tries == [0, 1, 3, 7, 15]


def test_a_write_that_is_put_off_is_told_in_the_status() -> None:
    api = Api()
    run(live(api, 0.5))
    conditions = {c["type"]: c for c in api.objects["InferenceDeployment"]["status"]["conditions"]}
    found = conditions["Reconciling"]
    assert (found["status"], found["reason"], found["message"]) == ("True", "ApiUnavailable", MESSAGE)
    assert api.events, "what was decided is announced"


def test_what_is_put_off_again_says_nothing_new() -> None:
    api = Api()
    run(live(api, 0.5))
    told = api.version, list(api.events)
    run(live(api, 29))
    assert (api.version, api.events) == told
