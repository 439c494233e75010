"""What we found out ourselves, put together: nodes, heartbeats and probes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import builders
from heteroserve import kube
from heteroserve.model.deployment import Key
from heteroserve.model.snapshot import NodeVitals
from heteroserve.observe.probe import Heard
from heteroserve.observe.store import Store
from heteroserve.observe.vitals import Vitals

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


READY_ON_A: builders.JSON = {
    "spec": {"nodeName": "a"},
    "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
}


@dataclass
class World:
    """Nodes a and b, and what is known of them; time passes by `seconds`."""

    store: Store = field(default_factory=Store)
    seconds: float = 100.0
    ages: dict[str, float] = field(default_factory=dict)
    renewed: dict[str, float] = field(default_factory=dict)
    heard: dict[str, tuple[int, int]] = field(default_factory=dict)
    owners: tuple[Key, ...] = (Key(namespace="demo", name="digits"), Key(namespace="demo", name="other"))
    """Whose pods are asked."""
    failed: dict[str, int] = field(default_factory=dict)
    crossings: int = 0
    version: int = 1

    def __post_init__(self) -> None:
        self.node("a")
        self.node("b")
        self.vitals = Vitals(self.store, self, self, lambda: self.seconds, lambda: NOON)  # type: ignore[arg-type]

    def node(self, name: str, ready: str = "True", since: datetime | None = None) -> None:
        self.version += 1
        raw = builders.raw_node(name, ready=ready, metadata={"resourceVersion": str(self.version)})
        if since:
            raw["status"]["conditions"][0]["lastTransitionTime"] = since.isoformat()
        self.store.put(kube.NODE, raw)

    def age(self, node: str) -> float | None:
        return self.ages.get(node)

    def renewed_seconds(self, node: str, now: float) -> float | None:
        return self.renewed.get(node)

    def failures(self, uid: str) -> int | None:
        return self.failed.get(uid)

    def by_node(self) -> Mapping[str, Heard]:
        return {node: Heard(*numbers, owners=frozenset(self.owners)) for node, numbers in self.heard.items()}

    def bad(self) -> dict[str, float | None]:
        return {name: vitals.bad_seconds for name, vitals in self.vitals.of_nodes().items()}


@dataclass(frozen=True, kw_only=True)
class Case:
    ready: str = "True"
    age: float | None = None
    heard: tuple[int, int] | None = None
    want: NodeVitals


CASES = {
    "nothing is known": Case(want=NodeVitals()),
    "well": Case(age=3.0, heard=(2, 0), want=NodeVitals(lease_age_seconds=3.0, asked=2)),
    "not ready": Case(ready="Unknown", want=NodeVitals(bad_seconds=0.0)),
    "a Lease at its limit": Case(age=20.0, want=NodeVitals(lease_age_seconds=20.0)),
    "an expired Lease": Case(age=20.1, want=NodeVitals(lease_age_seconds=20.1, bad_seconds=0.0)),
    "one pod of two fails": Case(heard=(2, 1), want=NodeVitals(asked=2, failing=1)),
    "every pod fails": Case(heard=(2, 2), want=NodeVitals(asked=2, failing=2, bad_seconds=0.0)),
    "nobody is asked": Case(heard=(0, 0), want=NodeVitals()),
    "everything at once": Case(
        ready="False",
        age=99.0,
        heard=(1, 1),
        want=NodeVitals(lease_age_seconds=99.0, asked=1, failing=1, bad_seconds=0.0),
    ),
}


@builders.table(CASES)
def test_a_node(case: Case) -> None:
    world = World()
    world.node("a", case.ready)
    world.ages |= {} if case.age is None else {"a": case.age}
    world.heard |= {} if case.heard is None else {"a": case.heard}
    assert world.vitals.of_nodes() == {"a": case.want, "b": NodeVitals()}


def test_of_pods_only_those_are_told_that_are_asked() -> None:
    world = World(failed={"uid-cpu-a": 0, "uid-cpu-b": 3, "uid-other": 9})
    pods = [builders.pod(name) for name in ("cpu-a", "cpu-b", "cpu-c")]
    assert world.vitals.of_pods(pods) == {"uid-cpu-a": 0, "uid-cpu-b": 3}


def test_for_how_long_a_node_is_bad_is_counted_without_a_break() -> None:
    world, found = World(), list[float | None]()
    for heard, age in (((1, 1), 5.0), ((1, 1), 25.0), ((1, 0), 30.0), ((1, 0), 0.0), ((1, 1), 5.0), ((1, 1), 10.0)):
        world.heard, world.ages = {"a": heard}, {"a": age}
        found.append(world.bad()["a"])
        world.seconds += 5
    assert found == [0, 5, 10, None, 0, 5]


def test_what_happens_to_one_node_is_none_of_anothers() -> None:
    world = World()
    world.node("a", "False")
    assert world.bad() == {"a": 0, "b": None}
    world.seconds += 30
    world.node("b", "False")
    assert world.bad() == {"a": 30, "b": 0}


def test_a_node_that_left_and_is_back_starts_anew() -> None:
    world = World()
    world.node("a", "False")
    assert world.bad()["a"] == 0
    world.store.remove(kube.NODE, builders.raw_node("a"))
    world.seconds += 30
    assert "a" not in world.bad()
    world.node("a", "False")
    assert world.bad()["a"] == 0


def test_a_node_that_is_first_seen_not_ready_has_been_so_since_kubernetes_says_so() -> None:
    world = World()
    world.node("a", "False", NOON - timedelta(minutes=5))
    world.node("b", "False", NOON + timedelta(minutes=5))
    assert world.bad() == {"a": 300, "b": 0}, "a time that is still to come is now"
    world.seconds += 7
    assert world.bad() == {"a": 307, "b": 7}


def test_of_a_node_that_was_seen_well_our_own_clock_tells_since_when_it_is_bad() -> None:
    world = World()
    assert world.bad()["a"] is None
    world.node("a", "False", NOON - timedelta(minutes=5))
    assert world.bad()["a"] == 0


def test_where_the_pods_of_one_deployment_alone_are_asked_their_silence_is_its_own() -> None:
    world = World(heard={"a": (1, 1), "b": (1, 0)}, owners=(Key(namespace="demo", name="digits"),))
    assert {name: vitals.silent_of for name, vitals in world.vitals.of_nodes().items()} == {"a": "demo/digits", "b": ""}
    both = World(heard={"a": (2, 2)})
    assert both.vitals.of_nodes()["a"].silent_of == ""


def test_a_node_that_is_gone_while_pods_on_it_are_ready_is_told_for_a_minute() -> None:
    world = World()
    world.store.put(kube.POD, builders.raw_pod("digits-cpu-0", **READY_ON_A))
    world.vitals.of_nodes()
    for name in ("a", "b"):
        world.store.remove(kube.NODE, builders.raw_node(name))
    assert world.vitals.of_nodes() == {"a": NodeVitals(bad_seconds=0.0, gone=True)}, "b had nothing on it"
    world.seconds += 60
    assert world.vitals.of_nodes() == {"a": NodeVitals(bad_seconds=60.0, gone=True)}
    world.seconds += 1
    assert world.vitals.of_nodes() == {}


def test_when_a_kubelet_was_seen_is_told_as_it_is() -> None:
    world = World(renewed={"a": 7.0})
    assert {name: v.renewed_seconds for name, v in world.vitals.of_nodes().items()} == {"a": 7.0, "b": None}


def test_we_are_awake_since_somebody_first_asked() -> None:
    world = World()
    assert world.vitals.awake_seconds() == 0
    world.seconds += 7
    assert world.vitals.awake_seconds() == 7


def test_nodes_are_looked_at_anew_when_something_changed_or_a_second_has_passed() -> None:
    world = World()
    first = world.vitals.of_nodes()
    assert world.vitals.of_nodes() is first
    changes: tuple[Callable[[], None], ...] = (
        lambda: world.node("a", "False"),
        lambda: setattr(world, "crossings", 1),
        lambda: setattr(world, "seconds", world.seconds + 1),
    )
    for happens in changes:
        happens()
        assert world.vitals.of_nodes() is not first
        first = world.vitals.of_nodes()
