"""The prober: asks every pod of ours once a second whether its model is ready. It notices a dead node in some 1.6 s.

The only pod of a class is asked four times as often, and once more beside a question that hangs; it is noticed in some
0.65 s: where a class has others, the gateway goes on with these; where it has none, only we can take the class's weight
away.

The questions are spread over the second, in an order that is at random over nodes and stays the same: no burst, no node
at a stroke, and no pod that waits for longer than a second. After a first failure a pod is asked again at once.

Invariants: what is remembered is of pods that exist; nobody is rung for but when a pod crosses the threshold, in either
direction; whatever a question ends with, the next one is asked. A pod that nobody asks any more (Kubernetes itself
calls it not ready) is no witness, but has to earn its trust again when it is back. Nor are the pods of a deployment of
which none has ever answered: then it is we who do not reach them (the NetworkPolicy of an older version, say). Nor is
one that had no answer for us while we did not listen. Pods that carry a mark of ours are asked whoever else is: what
was said of them before we started is not forgotten, and has to be heard again before it is taken back.
"""

import asyncio
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from heteroserve import kube, telemetry
from heteroserve.decide.health import PROBES_FAILED
from heteroserve.model.deployment import Key
from heteroserve.model.snapshot import Mark, Pod
from heteroserve.observe.asker import Ask
from heteroserve.observe.feed import Ring, key_of, subject_of
from heteroserve.observe.store import Name, Store
from heteroserve.wake import Call, Subject

EVERY_SECONDS = 1.0
ALONE_PER_ROUND = 4
MOST_ALONE = 100
"""So many are asked that often, those with a mark first; of more, the others are asked like everybody."""
HANGS_SECONDS = 0.1
"""An answer takes some 3 ms. Who is alone and has not given it after this is asked again meanwhile."""
AT_ONCE = 200
"""Pods that are being asked. When more than that hang, everybody is asked less often."""

SUCCESSES_TO_TRUST = 3
"""In a row: a pod that answers every other time is not well."""


@dataclass(slots=True)
class Streak:
    """How often a pod failed since it was last well: up to the threshold by question, and then by round."""

    failures: int = 0
    successes: int = 0

    @property
    def failing(self) -> bool:
        """Whether it failed too often to be trusted."""
        return self.failures >= PROBES_FAILED

    def hear(self, *, answered: bool, extra: bool = False) -> bool:
        """Counts an answer; true when the pod's trust changes. `extra`: one more than everybody is asked for."""
        before = self.failing
        self.successes = self.successes + 1 if answered else 0
        if not answered:
            self.failures += not (extra and before)
        elif not before or self.successes >= SUCCESSES_TO_TRUST:
            self.failures = 0
        return self.failing is not before


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A pod to ask, and whom its answer concerns."""

    uid: str
    pod: Name
    node: str
    address: str
    model: str
    subject: Subject
    class_name: str
    marked: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """When in a round to ask whom. `extra`: between the turns that everybody has; `alone`: of those who have such."""

    after_seconds: float
    target: Target
    extra: bool = False
    alone: bool = False


def timetable(targets: list[Target]) -> list[Turn]:
    """A round, in order."""
    often = {target.uid for target in sorted(alone(targets), key=lambda t: not t.marked)[:MOST_ALONE]}
    turns: list[Turn] = []
    for place, target in enumerate(targets):
        first = EVERY_SECONDS * place / len(targets)
        is_alone = target.uid in often
        times = ALONE_PER_ROUND if is_alone else 1
        after = [(first + EVERY_SECONDS * n / times) % EVERY_SECONDS for n in range(times)]
        turns += [Turn(after_seconds=at, target=target, extra=n > 0, alone=is_alone) for n, at in enumerate(after)]
    return sorted(turns, key=lambda turn: turn.after_seconds)


def alone(targets: list[Target]) -> list[Target]:
    """Those that are the only pod of their class, where the deployment has pods of another class as well."""
    of_class = Counter((t.subject, t.class_name) for t in targets)
    of_deployment = Counter(t.subject for t in targets)
    return [t for t in targets if of_class[t.subject, t.class_name] == 1 < of_deployment[t.subject]]


@dataclass(slots=True)
class Record:
    """What we know of a pod that was asked. `asked` says whether it still is; `heard`, whether it ever came to that."""

    node: str
    owner: Key
    asked: bool = True
    heard: bool = False
    streak: Streak = field(default_factory=Streak)


class Heard(NamedTuple):
    """What the pods on a node say: how many are asked, how many of them fail, and whose those are that are asked."""

    asked: int
    failing: int
    owners: frozenset[Key] = frozenset()


class Prober:
    """Asks, and remembers. `ring(subject, call)`: a pod of that deployment has lost its trust, or has it back."""

    def __init__(self, store: Store, ring: Ring) -> None:
        self._store = store
        self._ring = ring
        self._records: dict[str, Record] = {}
        self._reached: set[Subject] = set()
        """Deployments of which any pod has ever answered."""
        self._surprised = False
        self.crossings = 0
        """How often any pod's trust changed."""

    def failures(self, uid: str) -> int | None:
        """How often in a row a pod failed; `None` while it is not asked, or has not been heard of yet."""
        record = self._records.get(uid)
        return record.streak.failures if record and record.asked and record.heard else None

    def by_node(self) -> dict[str, Heard]:
        """Of nodes with any pod that is asked."""
        on_node = defaultdict[str, list[Record]](list)
        for record in self._records.values():
            if record.asked:
                on_node[record.node].append(record)
        return {
            node: Heard(len(there), sum(r.streak.failing for r in there), frozenset(r.owner for r in there))
            for node, there in on_node.items()
        }

    async def run(self, ask: Ask) -> None:
        """Asks until cancelled."""
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as questions:
            while True:
                await self._round(ask, slots, questions)

    async def _round(self, ask: Ask, slots: asyncio.Semaphore, questions: asyncio.TaskGroup) -> None:
        """One second: everybody once, at even distances, and who is alone some more times between."""
        clock = asyncio.get_running_loop().time
        started, targets = clock(), self._choose()
        telemetry.PROBED_PODS.set(len(targets))
        for turn in timetable(targets):
            await asyncio.sleep(started + turn.after_seconds - clock())
            await slots.acquire()
            question = questions.create_task(self._probe(ask, turn))
            question.add_done_callback(lambda _: slots.release())
        await asyncio.sleep(started + EVERY_SECONDS - clock())

    def _choose(self) -> list[Target]:
        """Whom to ask, ordered by UID: that is at random, and the same in the next second."""
        targets, there, subjects = list[Target](), set[str](), set[Subject]()
        for key, wish in self._store.wishes().items():
            subject = subject_of(kube.INFERENCE_DEPLOYMENT, key.namespace, key.name)
            subjects.add(subject)
            for pod in self._store.pods(key):
                there.add(pod.uid)
                if pod.address and pod.node and self._is_to_be_asked(pod):
                    targets.append(
                        Target(
                            uid=pod.uid,
                            pod=(key.namespace, pod.name),
                            node=pod.node,
                            address=pod.address,
                            model=wish.deployment.model.name,
                            subject=subject,
                            class_name=pod.class_name,
                            marked=pod.mark != Mark(),
                        )
                    )
        self._reached &= subjects
        self._remember(there, targets)
        return sorted(targets, key=lambda target: target.uid)

    def _remember(self, there: set[str], targets: list[Target]) -> None:
        """Forgets pods that are gone, and keeps whom we ask."""
        self._records = {uid: record for uid, record in self._records.items() if uid in there}
        for record in self._records.values():
            record.asked = False
        for target in targets:
            self._records.setdefault(target.uid, Record(target.node, key_of(target.subject))).asked = True

    def _is_to_be_asked(self, pod: Pod) -> bool:
        """Kubernetes calls it ready; or did so, and says now only that it has lost the node.

        It did if it was asked before, or carries a mark: that may be of a time before we started.
        """
        if pod.terminating or not pod.uid:
            return False
        node = self._store.get(kube.NODE, ("", pod.node or ""))
        was_ready = pod.uid in self._records or pod.mark != Mark()
        return pod.ready or (was_ready and (node is None or not node.ready))

    async def _probe(self, ask: Ask, turn: Turn) -> None:
        """One question, and after a first failure another: to who is alone, as soon as the answer is late."""
        async with asyncio.TaskGroup() as both:
            first = both.create_task(self._question(ask, turn))
            hangs = turn.alone and (self.failures(turn.target.uid) or 0) < PROBES_FAILED
            await asyncio.wait({first}, timeout=HANGS_SECONDS if hangs else None)
            if not first.done() or first.result() == 1:
                await self._question(ask, replace(turn, extra=True))

    async def _question(self, ask: Ask, turn: Turn) -> int:
        """How often the pod has failed now."""
        if not self._is_current(turn.target):
            return 0
        answered = await self._ask(ask, turn.target)
        return 0 if answered is None else self._hear(turn, answered=answered)

    def _is_current(self, target: Target) -> bool:
        """Whether the pod is still there and to be asked: that may have changed since the second began."""
        pod = self._store.get(kube.POD, target.pod)
        return pod is not None and pod.uid == target.uid and self._is_to_be_asked(pod)

    async def _ask(self, ask: Ask, target: Target) -> bool | None:
        started = time.monotonic()
        try:
            answered = await ask(target.address, target.model)
        except Exception:  # noqa: BLE001 -- whatever a pod makes a library raise, the others are asked all the same
            answered = False
            if not self._surprised:
                telemetry.LOGGER.exception("a probe failed in an unknown way; said once")
            self._surprised = True
        telemetry.PROBE_SECONDS.observe(time.monotonic() - started)
        telemetry.PROBE_FAILURES.inc(answered is False)
        telemetry.PROBES_DISCARDED.inc(answered is None)
        return answered

    def _hear(self, turn: Turn, *, answered: bool) -> int:
        """Takes an answer in, and returns how many failures there are now."""
        target = turn.target
        record = self._records.get(target.uid)
        if record is None or not self._is_current(target):
            return 0  # it left meanwhile: of no interest
        if answered:
            self._reached.add(target.subject)
        elif target.subject not in self._reached:
            return 0
        record.heard = True
        if record.streak.hear(answered=answered, extra=turn.extra):
            self.crossings += 1
            says = "a pod answers again" if answered else "a pod does not answer"
            telemetry.LOGGER.warning(says, extra={"pod": "/".join(target.pod), "node": target.node})
            self._ring(target.subject, Call.CHANGE if answered else Call.FAILURE)
        return record.streak.failures
