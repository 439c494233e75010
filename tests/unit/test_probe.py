"""The prober on a virtual clock: whom it asks, when, and for whom it rings."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from prometheus_client import REGISTRY

import builders
from clock import now, run
from heteroserve import kube
from heteroserve.model.deployment import Key
from heteroserve.observe.probe import AT_ONCE, Heard, Prober, Streak, Target, timetable
from heteroserve.observe.store import Store
from heteroserve.wake import Call, Subject

DIGITS = Subject(kind="InferenceDeployment", namespace="demo", name="digits")
GOOD: builders.JSON = {"conditions": [{"type": "Ready", "status": "True"}]}
UNREADY: builders.JSON = {"conditions": [{"type": "Ready", "status": "False"}]}
POD = "uid-pod-0"


def pod(number: int = 0, *, node: str | None = "cpu-0", address: str | None = "", **fields: Any) -> builders.JSON:
    """A ready pod with an address of its own."""
    found = f"10.0.{number // 250}.{number % 250}" if address == "" else address
    status = {**GOOD, **({"podIP": found} if found else {}), **fields.pop("status", {})}
    return builders.raw_pod(f"pod-{number}", spec={"nodeName": node} if node else {}, status=status, **fields)


def node(name: str = "cpu-0", ready: str = "True", version: int = 1) -> builders.JSON:
    return builders.raw_node(name, ready=ready, metadata={"resourceVersion": str(version)})


def unmarked(raw: builders.JSON) -> builders.JSON:
    labels = {**raw["metadata"]["labels"], "heteroserve.dev/serving": "true"}
    return raw | {"metadata": {**raw["metadata"], "labels": labels}}


Question = tuple[float, str]


@dataclass
class World:
    """A prober that has reached the deployment before, what it sees, and what answers, by address."""

    answer: Callable[[str], Coroutine[Any, Any, bool | None]]
    store: Store = field(default_factory=Store)
    asked: list[Question] = field(default_factory=list)
    rung: list[tuple[float, Subject, Call]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.prober = Prober(self.store, lambda subject, call: self.rung.append((now(), subject, call)))
        self.prober._reached.add(DIGITS)
        self.learn(builders.raw_deployment(), node())

    def learn(self, *objects: builders.JSON) -> None:
        for raw in objects:
            self.store.put(kube.BY_KIND[raw["kind"]], raw)

    def forget(self, raw: builders.JSON) -> None:
        self.store.remove(kube.BY_KIND[raw["kind"]], raw)

    async def ask(self, address: str, model: str) -> bool | None:
        assert model == "digits"
        self.asked.append((now(), address))
        return await self.answer(address)

    def times(self, address: str = "10.0.0.0") -> list[float]:
        return [round(time, 3) for time, asked in self.asked if asked == address]

    async def live(self, seconds: float) -> None:
        """So much time passes for the prober, which starts with it and ends with it."""
        working = asyncio.create_task(self.prober.run(self.ask))
        await asyncio.sleep(seconds)
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        assert working.cancelled()


async def yes(_: str) -> bool:
    return True


async def never(_: str) -> bool:
    await asyncio.sleep(0.3)  # the asker's time limit
    return False


async def refuses(_: str) -> bool:
    return False


def in_turn(*answers: bool | None) -> Callable[[str], Coroutine[Any, Any, bool | None]]:
    """These answers, one per question, and the last for ever."""
    left = list(answers)

    async def answer(_: str) -> bool | None:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


# --- The rule --------------------------------------------------------------------------------------------------------

# what is heard: yes (+) and no (-); the failures after each
STREAKS: dict[str, tuple[str, list[int]]] = {
    "all is well": ("++", [0, 0]),
    "one failure is forgotten": ("-+-+", [1, 0, 1, 0]),
    "two in a row count until three successes": ("--++" + "+", [1, 2, 2, 2, 0]),
    "a failure among them starts anew": ("--++-+++", [1, 2, 2, 2, 3, 3, 3, 0]),
    "what answers every other time is not well": ("--+-+-+", [1, 2, 2, 3, 3, 4, 4]),
    "well again, one failure is one again": ("--+++-+", [1, 2, 2, 2, 0, 1, 0]),
}


@builders.table(STREAKS)
def test_how_failures_are_counted(case: tuple[str, list[int]]) -> None:
    heard, want = case
    streak, found, crossings = Streak(), list[int](), 0
    for answer in heard:
        before = streak.failing
        crossed = streak.hear(answered=answer == "+")
        assert crossed is (streak.failing is not before)
        crossings += crossed
        found.append(streak.failures)
    assert found == want


def test_more_questions_do_not_make_a_silence_longer() -> None:
    streak = Streak()
    for extra in (False, True, True, True, False, True):
        streak.hear(answered=False, extra=extra)
    assert (streak.failures, streak.failing) == (3, True)


# --- When ------------------------------------------------------------------------------------------------------------


def test_a_pod_is_asked_once_a_second() -> None:
    async def story() -> World:
        world = World(yes)
        world.learn(pod())
        await world.live(3.5)
        return world

    world = run(story())
    assert (world.times(), world.rung, world.prober.failures(POD)) == ([0, 1, 2, 3], [], 0)


def test_a_pod_that_hangs_is_found_after_two_time_limits_and_rung_for_once() -> None:
    async def story() -> World:
        world = World(never)
        world.learn(pod())
        await world.live(5)
        return world

    world = run(story())
    assert world.times() == [0, 0.3, 1, 2, 3, 4]
    assert world.rung == [(pytest.approx(0.6), DIGITS, Call.FAILURE)]
    assert world.prober.failures(POD) == 6


def test_a_pod_that_dies_right_after_a_question_is_found_in_1_6_seconds() -> None:
    async def story() -> World:
        world = World(lambda address: yes(address) if now() < 0.001 else never(address))
        world.learn(pod())
        await world.live(2.5)
        return world

    assert [time for time, *_ in run(story()).rung] == [pytest.approx(1.6)]


def of_class(name: str, number: int) -> builders.JSON:
    return pod(number, class_name=name)


def test_the_only_pod_of_a_class_is_asked_four_times_a_second_and_the_others_once() -> None:
    async def story() -> World:
        world = World(yes)
        world.learn(of_class("fpga", 0), of_class("cpu", 1), of_class("cpu", 2))
        await world.live(1.9)
        return world

    world = run(story())
    first = world.times("10.0.0.0")[0]
    assert world.times("10.0.0.0") == [pytest.approx(first + n / 4, abs=0.001) for n in range(8 - round(first * 4))]
    assert [len(world.times(f"10.0.0.{n}")) for n in (1, 2)] == [2, 2]


def one_of_two(fpga: Callable[[str], Coroutine[Any, Any, bool | None]], *, since: float) -> World:
    """The only pods of two classes; from a moment on, one of them answers so."""
    world = World(lambda address: fpga(address) if address == "10.0.0.0" and now() >= since else yes(address))
    world.learn(of_class("fpga", 0), of_class("cpu", 1))
    return world


@pytest.mark.parametrize("since", [2.01, 2.1, 2.2, 2.249, 2.26])
def test_the_only_pod_of_a_class_is_found_frozen_two_thirds_of_a_second_later(since: float) -> None:
    async def story() -> World:
        world = one_of_two(never, since=since)
        await world.live(5)
        return world

    world = run(story())
    assert [call for _, _, call in world.rung] == [Call.FAILURE]
    assert world.rung[0][0] - since <= 0.651
    asked = [at for at in world.times("10.0.0.0") if at > 4]
    assert len(asked) == 3, "who is known to fail is not asked beside its turns"
    assert world.prober.failures(POD) == 4, "by round, however many questions it had"


def test_an_answer_that_is_late_is_one() -> None:
    async def slow(_: str) -> bool:
        await asyncio.sleep(0.2)
        return True

    async def story() -> World:
        world = one_of_two(slow, since=2.01)
        await world.live(3.01)
        return world

    world = run(story())
    assert (world.rung, world.prober.failures(POD)) == ([], 0)
    asked = world.times("10.0.0.0")
    beside = [at for at in asked if any(at - earlier == pytest.approx(0.1) for earlier in asked)]
    assert len(beside) == 3, "each is asked once more after a tenth of a second"


def told(deployment: str, class_name: str, number: int) -> Target:
    subject = Subject(kind="InferenceDeployment", namespace="demo", name=deployment)
    uid = f"{deployment}-{class_name}-{number}"
    return Target(
        uid=uid, pod=("demo", uid), node="n", address="10.0.0.1", model="m", subject=subject, class_name=class_name
    )


ALONE: dict[str, tuple[list[Target], int]] = {
    "nobody": ([], 0),
    "a deployment with one pod has nobody to send its traffic to": ([told("a", "cpu", 0)], 1),
    "two pods of one class": ([told("a", "cpu", 0), told("a", "cpu", 1)], 2),
    "one pod in each of two classes": ([told("a", "cpu", 0), told("a", "gpu", 0)], 8),
    "other deployments are no company": ([told("a", "cpu", 0), told("b", "cpu", 0), told("b", "gpu", 0)], 9),
    "no more than a bound": (
        [told(f"d{n}", name, 0) for n in range(100) for name in ("cpu", "gpu")],
        200 + 3 * 100,  # adr/0007 says so
    ),
}


@builders.table(ALONE)
def test_how_many_questions_a_round_has(case: tuple[list[Target], int]) -> None:
    targets, want = case
    turns = timetable(targets)
    assert len(turns) == want
    assert sorted(t.after_seconds for t in turns) == [t.after_seconds for t in turns]
    assert all(0 <= t.after_seconds < 1 for t in turns)
    assert sum(not t.extra for t in turns) == len(targets)


def test_who_carries_a_mark_is_before_others_where_not_all_can_be_asked_that_often() -> None:
    targets = [told(f"d{n}", name, 0) for n in range(100) for name in ("cpu", "gpu")]
    marked = {f"d{n}-{name}-0" for n in range(70, 100) for name in ("cpu", "gpu")}
    turns = timetable([replace(target, marked=target.uid in marked) for target in targets])
    often = {turn.target.uid for turn in turns if turn.extra}
    assert marked <= often
    assert len(often) == 100


def test_a_pod_that_refuses_is_asked_again_at_once() -> None:
    async def story() -> World:
        world = World(refuses)
        world.learn(pod())
        await world.live(0.5)
        return world

    world = run(story())
    assert (world.times(), len(world.rung), world.prober.failures(POD)) == ([0, 0], 1, 2)


def test_a_pod_that_is_back_is_trusted_and_rung_for_after_three_answers() -> None:
    async def story() -> World:
        world = World(in_turn(False, False, True))
        world.learn(pod())
        await world.live(4.5)
        return world

    assert [(time, call) for time, _, call in run(story()).rung] == [(0, Call.FAILURE), (3, Call.CHANGE)]


def test_one_lost_answer_rings_for_nobody() -> None:
    async def story() -> World:
        world = World(in_turn(True, False, True))
        world.learn(pod())
        await world.live(4.5)
        return world

    world = run(story())
    assert (world.rung, world.times()) == ([], [0, 1, 1, 2, 3, 4])


def counted() -> tuple[float, float]:
    """Probes so far that failed, and that were discarded."""
    names = ("heteroserve_probe_failures_total", "heteroserve_probes_discarded_total")
    failed, discarded = (REGISTRY.get_sample_value(name) or 0.0 for name in names)
    return failed, discarded


# what is heard: yes (True), no (False), or that we were late ourselves (None)
LATE: dict[str, tuple[tuple[bool | None, ...], int | None]] = {
    "always": ((None,), None),
    "once, of a pod that is well": ((True, None, True), 0),
    "after a first failure: it stays the first": ((True, False, None, None, None), 1),
    "between two failures: they are two in a row": ((True, False, None, False, None), 2),
}


@builders.table(LATE)
def test_a_question_for_which_we_were_late_says_nothing_of_the_pod(
    case: tuple[tuple[bool | None, ...], int | None],
) -> None:
    heard, want = case

    async def story() -> World:
        world = World(in_turn(*heard))
        world.learn(pod())
        await world.live(5.5)
        return world

    before = counted()
    world = run(story())
    assert world.prober.failures(POD) == want
    asked = len(world.times())
    failed, discarded = (now - was for now, was in zip(counted(), before, strict=True))
    assert failed == heard.count(False)
    assert discarded == heard.count(None) + (asked - len(heard)) * (heard[-1] is None)
    assert len(world.rung) == (want == 2)


def test_questions_are_spread_evenly_over_the_second_in_the_same_order_each_time() -> None:
    async def story() -> World:
        world = World(yes)
        world.learn(*(pod(number) for number in range(10)))
        await world.live(1.99)
        return world

    asked = run(story()).asked
    assert [round(time, 3) for time, _ in asked] == [round(i / 10, 3) for i in range(20)]
    assert [who for _, who in asked[:10]] == [who for _, who in asked[10:]]


def test_pods_that_come_and_go_move_the_others_by_little() -> None:
    async def story() -> World:
        world = World(yes)
        world.learn(*(pod(number) for number in range(20)))
        working = asyncio.create_task(world.live(6))
        for number in range(20, 25):
            await asyncio.sleep(1)
            world.learn(pod(number))
            world.forget(pod(number - 20))
        await working
        return world

    world = run(story())
    for number in range(5, 20):
        times = world.times(f"10.0.0.{number}")
        assert max(b - a for a, b in itertools.pairwise(times)) <= 1.1


def test_no_more_are_asked_at_once_than_there_are_slots_and_nobody_is_left_out() -> None:
    async def story() -> tuple[int, World]:
        busy, most = 0, 0

        async def hangs(address: str) -> bool:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            await never(address)
            busy -= 1
            return False

        world = World(hangs)
        world.learn(*(pod(number) for number in range(5 * AT_ONCE)))
        await world.live(5)
        return most, world

    most, world = run(story())
    assert most == AT_ONCE
    assert len({address for _, address in world.asked}) == 5 * AT_ONCE
    assert sum(world.prober.failures(f"uid-pod-{n}") is not None for n in range(5 * AT_ONCE)) == 5 * AT_ONCE


# --- Whom ------------------------------------------------------------------------------------------------------------

TARGETS: dict[str, tuple[builders.JSON, bool]] = {
    "ready": (pod(), True),
    "without an address": (pod(address=None), False),
    "with an address that is none": (pod(address="169.254.1.1/x"), False),
    "without a node": (pod(node=None), False),
    "not ready": (pod(status=UNREADY), False),
    "never ready, and now its node is not": (unmarked(pod(status=UNREADY, node="gone")), False),
    "marked before we started, and now its node is not ready": (pod(status=UNREADY, node="gone"), True),
    "marked before we started, and Kubernetes finds it not ready": (pod(status=UNREADY), False),
    "marked before we started": (pod(), True),
    "leaving": (pod(metadata={"deletionTimestamp": "2026-01-02T12:00:00Z"}), False),
    "ended": (pod(status={"phase": "Failed"}), False),
    "of nobody": (pod() | {"metadata": {"name": "pod-0", "namespace": "demo", "uid": POD}}, False),
    "of a namesake elsewhere": (
        builders.raw_pod("pod-0") | {"metadata": {**pod()["metadata"], "namespace": "a"}},
        False,
    ),
}


@builders.table(TARGETS)
def test_who_is_asked(case: tuple[builders.JSON, bool]) -> None:
    raw, want = case

    async def story() -> World:
        world = World(yes)
        world.learn(raw)
        await world.live(0.5)
        return world

    world = run(story())
    assert bool(world.asked) is want
    assert world.prober.failures(POD) == (0 if want else None)


def change(*objects: builders.JSON) -> Callable[[World], None]:
    return lambda world: world.learn(*objects)


def newer(raw: builders.JSON) -> builders.JSON:
    return raw | {"metadata": {**raw["metadata"], "resourceVersion": "2"}}


def lose_node(world: World) -> None:
    world.learn(newer(pod(status=UNREADY)))
    world.forget(node())


# what happens to a pod that was asked: whether it is asked on, and what is said of it
AFTERWARDS: dict[str, tuple[Callable[[World], None], bool]] = {
    "nothing": (lambda _: None, True),
    "Kubernetes finds it not ready": (change(newer(pod(status=UNREADY))), False),
    "Kubernetes loses its node": (change(newer(pod(status=UNREADY)), node(ready="Unknown", version=2)), True),
    "its node is gone": (lose_node, True),
    "it is leaving": (change(newer(pod(metadata={"deletionTimestamp": "2026-01-02T12:00:00Z"}))), False),
    "it is gone": (lambda world: world.forget(pod()), False),
    "its deployment is gone": (lambda world: world.forget(builders.raw_deployment()), False),
}


@builders.table(AFTERWARDS)
def test_who_is_asked_on(case: tuple[Callable[[World], None], bool]) -> None:
    happens, want = case

    async def story() -> tuple[list[Question], World]:
        world = World(yes)
        world.learn(pod())
        working = asyncio.create_task(world.live(3.5))
        await asyncio.sleep(1.5)
        happens(world)
        before = len(world.asked)
        await working
        return world.asked[before:], world

    later, world = run(story())
    assert bool(later) is want
    assert world.prober.failures(POD) == (0 if want else None)
    assert world.prober.by_node() == ({"cpu-0": Heard(1, 0, frozenset({builders.KEY}))} if want else {})
    assert world.rung == []


def test_what_is_not_asked_is_no_witness_and_has_to_earn_its_trust_again() -> None:
    async def story() -> list[int | None]:
        world = World(in_turn(False, False, True))
        world.learn(pod())
        working = asyncio.create_task(world.live(8))
        found: list[int | None] = []
        await asyncio.sleep(0.5)
        found.append(world.prober.failures(POD))
        world.learn(pod(status=UNREADY) | {"metadata": {**pod()["metadata"], "resourceVersion": "2"}})
        await asyncio.sleep(2)
        found.append(world.prober.failures(POD))
        world.learn(pod() | {"metadata": {**pod()["metadata"], "resourceVersion": "3"}})
        await asyncio.sleep(1)
        found.append(world.prober.failures(POD))
        await working
        return [*found, world.prober.failures(POD)]

    assert run(story()) == [2, None, 2, 0]


def test_silence_says_nothing_until_any_pod_of_the_deployment_has_answered() -> None:
    async def story() -> list[tuple[int | None, int]]:
        world = World(lambda address: yes(address) if now() > 2.6 and address == "10.0.0.1" else refuses(address))
        world.prober._reached.clear()
        world.learn(pod(0), pod(1))
        working = asyncio.create_task(world.live(9))
        found: list[tuple[int | None, int]] = []
        for moment in (2.4, 3.4, 4.4):
            await asyncio.sleep(moment - now())
            found.append((world.prober.failures(POD), len(world.rung)))
        await working
        return found

    assert run(story()) == [(None, 0), (None, 0), (2, 1)]


def test_a_deployment_that_is_made_anew_has_to_be_reached_anew() -> None:
    async def story() -> World:
        world = World(refuses)
        working = asyncio.create_task(world.live(4))
        await asyncio.sleep(0.5)
        world.forget(builders.raw_deployment())
        await asyncio.sleep(1)
        world.learn(builders.raw_deployment(), pod())
        await working
        return world

    world = run(story())
    assert (world.rung, world.prober.failures(POD), len(world.asked)) == ([], None, 2)


def test_what_leaves_while_it_is_asked_is_no_failure() -> None:
    async def story() -> World:
        world = World(never)
        world.learn(pod())
        working = asyncio.create_task(world.live(1.5))
        await asyncio.sleep(0.1)
        world.learn(newer(pod(metadata={"deletionTimestamp": "2026-01-02T12:00:00Z"})))
        await working
        return world

    world = run(story())
    assert (world.rung, world.times(), world.prober.failures(POD)) == ([], [0], None)


def test_only_pods_that_exist_are_remembered() -> None:
    async def story() -> int:
        world = World(refuses)
        working = asyncio.create_task(world.live(20))
        for number in range(18):
            world.learn(pod(number))
            await asyncio.sleep(1)
            world.forget(pod(number))
        await working
        return len(world.prober._records)

    assert run(story()) == 0


def test_nodes_are_told_apart() -> None:
    async def story() -> World:
        world = World(lambda address: yes(address) if address.endswith(".1") else refuses(address))
        world.learn(node("cpu-1"), pod(0), pod(1), pod(2, node="cpu-1"))
        await world.live(1)
        return world

    mine = frozenset({builders.KEY})
    assert run(story()).prober.by_node() == {"cpu-0": Heard(2, 1, mine), "cpu-1": Heard(1, 1, mine)}


def test_whose_pods_are_asked_on_a_node_is_told() -> None:
    async def story() -> World:
        world = World(yes)
        other = pod(1)
        other["metadata"]["labels"]["heteroserve.dev/deployment"] = "other"
        world.learn(builders.raw_deployment("other"), node("cpu-1"), pod(0), other, pod(2, node="cpu-1"))
        await world.live(1)
        return world

    other = Key(namespace="demo", name="other")
    assert run(story()).prober.by_node() == {
        "cpu-0": Heard(2, 0, frozenset({builders.KEY, other})),
        "cpu-1": Heard(1, 0, frozenset({builders.KEY})),
    }


@pytest.mark.parametrize("error", [RuntimeError("a bug"), ValueError("bad header"), KeyError("x")], ids=repr)
def test_whatever_a_question_ends_with_the_next_one_is_asked(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def story() -> World:
        async def fails(address: str) -> bool:
            if address == "10.0.0.0":
                raise error
            return True

        world = World(fails)
        world.learn(pod(0), pod(1))
        await world.live(4.5)
        return world

    world = run(story())
    assert (len(world.times("10.0.0.0")), len(world.times("10.0.0.1"))) == (6, 4)
    assert (world.prober.failures(POD), world.prober.failures("uid-pod-1")) == (6, 0)
    assert len([r for r in caplog.records if r.exc_info]) == 1
