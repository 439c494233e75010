"""The loop: the street, once per woken subject, and the tasks that keep it moving.

    observe ─ Snapshot ─► decide ─ Plan ─► render ─ manifests ─► act ─ Outcome ─► status

Nothing is decided before everything was listed once; a kind that cannot be listed keeps nobody else waiting, unless a
decision needs it. Whatever escapes one subject's reconcile stays with that subject, and no bug ends a task. However
many wait for a look, what failed is next: no worker goes from one subject to another without letting others in.
Fail static: when the API server or Prometheus is away, nothing is written and the last state keeps serving.
"""

import asyncio
import time
from contextlib import suppress
from datetime import UTC, datetime

from heteroserve import kube, telemetry
from heteroserve.act.apply import Writer
from heteroserve.act.carry_out import carry_out
from heteroserve.act.events import Regarding, announce
from heteroserve.decide import decide
from heteroserve.errors import HeteroserveError, Retry
from heteroserve.kube import Kind, Kube
from heteroserve.model.deployment import Key
from heteroserve.model.outcome import Outcome
from heteroserve.observe.asker import asker
from heteroserve.observe.controls import Controls
from heteroserve.observe.feed import Feed, key_of
from heteroserve.observe.leases import Leases
from heteroserve.observe.metrics import FleetSamples, Prometheus
from heteroserve.observe.parse_api import parse_conditions
from heteroserve.observe.probe import Prober
from heteroserve.observe.snapshot import Observer
from heteroserve.observe.store import Hardware, Store, Unreadable, Wish
from heteroserve.observe.vitals import Vitals
from heteroserve.settings import Settings
from heteroserve.status.announcements import announcements_for
from heteroserve.status.compute import compute_status, unreadable_conditions
from heteroserve.status.hardware import HardwareView, compute_hardware_status
from heteroserve.status.write import write_hardware_status, write_status, write_unreadable
from heteroserve.wake import Call, Subject, Wake, pause_seconds

WORKERS = 4
"""One of them takes failures alone: all the others may be waiting for the API server to answer."""
NEEDED = frozenset(
    {
        kube.INFERENCE_DEPLOYMENT,
        kube.HARDWARE_CLASS,
        kube.NODE,
        kube.POD,
        kube.DEPLOYMENT,
        kube.SERVICE,
        kube.HTTP_ROUTE,
        kube.GRPC_ROUTE,
    }
)
"""What a decision sees: without these it would take what is there for gone. The others are only written."""


class Loop:
    """Everything that runs; `feed` is where the watches pour in."""

    def __init__(self, settings: Settings, api: Kube) -> None:
        self._settings = settings
        self._kube = api
        self._store = Store()
        self._wake = Wake()
        self.feed = Feed(self._store, self._wake.add)
        self._prober = Prober(self._store, self._wake.add)
        self._leases = Leases(self.feed.standing_on)
        self._vitals = Vitals(self._store, self._prober, self._leases, time.monotonic, lambda: datetime.now(UTC))
        self._observer = Observer(self._store, settings.cluster(), self._vitals)
        self._controls = Controls(settings.namespace, lambda: self.feed.everybody(Call.CHANGE), self._end_pauses)
        self._writer = Writer(api, self._store)
        self._prometheus = Prometheus(
            settings.prometheus_url,
            gateways=settings.ingress_namespaces,
            window_seconds=settings.metrics_window_seconds,
            timeout_seconds=3,
        )
        self._samples = FleetSamples()
        self._listed = asyncio.Event()
        self._back = asyncio.Event()
        """Set once, when the API server answers again; then there is another one."""
        self._started_at: float | None = None
        self._tried_at: dict[Kind, float] = {}
        self._tried: set[Kind] = set()
        """Kinds that were listed once or could not be: an object that is there is not written for want of a look."""
        self._resynced_at: dict[Kind, float] = {}

    async def run(self) -> None:
        """Lists everything, then works until cancelled."""
        self._started_at = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for kind in kube.OBSERVED:
                tasks.create_task(self._resync_forever(kind))
            tasks.create_task(self._tick_forever())
            tasks.create_task(self._probe_forever())
            tasks.create_task(self._hear_forever())
            tasks.create_task(self._controls.run(self._kube))
            for number in range(WORKERS):
                tasks.create_task(self._work_forever(urgent_only=number == 0))

    async def reconcile(self, key: Key, wish: Wish) -> float | None:
        """The street. Returns after how many seconds to look again, if that is soon.

        Raises `Retry` when a write was put off, but tells in the status first.
        """
        now = datetime.now(UTC).replace(microsecond=0)  # the API's times have whole seconds
        snapshot = self._observer.observe(wish, self._samples, now, paused=self._controls.paused)
        plan = decide(snapshot)
        outcome = Outcome() if plan.held else await carry_out(self._kube, self._store, self._writer, snapshot, plan)
        status = compute_status(snapshot, plan, outcome)
        telemetry.report_plan(key, plan)
        await write_status(self._kube, self._store, wish, status)
        changes = announcements_for(snapshot.memory.conditions, status.conditions, plan.decisions)
        about = Regarding(
            kind=kube.INFERENCE_DEPLOYMENT.kind, namespace=key.namespace, name=key.name, uid=wish.deployment.uid
        )
        await announce(self._kube, about, changes, datetime.now(UTC))
        if outcome.postponed:
            raise Retry(outcome.postponed.reason, outcome.postponed.message)
        return plan.requeue_seconds

    async def reconcile_hardware(self, name: str, known: Hardware) -> None:
        """The short street of a HardwareClass: its status, and an Event when that changes."""
        view = HardwareView(
            now=datetime.now(UTC).replace(microsecond=0),
            generation=known.generation,
            hardware=known.hardware,
            nodes=self._store.nodes(),
            taken=self._observer.devices_taken(),
            pods=self._observer.pods_by_node(),
            conditions=parse_conditions(known.status),
        )
        status = compute_hardware_status(view)
        await write_hardware_status(self._kube, self._store, known, status)
        about = Regarding(kind=kube.HARDWARE_CLASS.kind, namespace="", name=name, uid=known.uid)
        await announce(
            self._kube,
            about,
            announcements_for(view.conditions, status.conditions, (), quiet=frozenset()),
            datetime.now(UTC),
        )

    async def _reconcile(self, subject: Subject) -> float | None:
        kind = kube.BY_KIND[subject.kind]
        fact = self._store.get(kind, (subject.namespace, subject.name))
        match fact:
            case Unreadable():
                now, before = datetime.now(UTC).replace(microsecond=0), parse_conditions(fact.status)
                conditions = unreadable_conditions(before, fact.message, fact.generation, now)
                await write_unreadable(self._kube, self._store, subject, fact, conditions)
            case Hardware():
                await self.reconcile_hardware(subject.name, fact)
            case Wish(deleting=False):
                return await self.reconcile(key_of(subject), fact)
            case None if kind is kube.INFERENCE_DEPLOYMENT:
                telemetry.forget_deployment(key_of(subject))
                self._writer.forget_deleted()
        return None

    async def _work_forever(self, *, urgent_only: bool) -> None:
        await self._listed.wait()
        await self._controls.known.wait()
        while True:
            await asyncio.sleep(0)  # a reconcile that writes nothing never waits: now events and probes have their turn
            subject = await self._wake.get(urgent_only=urgent_only)
            started, result = time.monotonic(), "ok"
            try:
                again = await self._reconcile(subject)
                self._wake.done(subject)
                if again is not None:
                    self._wake.add_after(subject, again)
            except HeteroserveError as error:
                result = error.reason
                pause = self._wake.failed(subject)
                telemetry.LOGGER.warning("reconcile put off", extra=_failure(subject, error, pause))
            except Exception as error:  # noqa: BLE001 -- a bug stays with the object that it happened with
                result = "Bug"
                pause = self._wake.failed(subject)
                telemetry.LOGGER.exception("reconcile failed", extra=_failure(subject, error, pause))
            telemetry.RECONCILE_SECONDS.labels(subject.kind, result).observe(time.monotonic() - started)

    async def _resync_forever(self, kind: Kind) -> None:
        """One kind for itself: that it cannot be listed holds up no other."""
        failures = 0
        while True:
            self._tried_at[kind] = time.monotonic()
            failures = 0 if await self._resync(kind, pause_seconds(failures + 1)) else failures + 1
            self._tried.add(kind)
            if self._tried.issuperset(kube.OBSERVED) and self._resynced_at.keys() >= NEEDED:
                self._listed.set()
            with suppress(TimeoutError):
                pause = pause_seconds(failures) or self._settings.resync_seconds
                await asyncio.wait_for(self._back.wait(), pause)
                failures = 0

    async def _resync(self, kind: Kind, pause: float) -> bool:
        """Whether it could be listed; else what was known of it stays."""
        try:
            await self.feed.resync(self._kube, kind)
        except HeteroserveError as error:
            about = {"kind": kind.kind, "cause": f"{error.reason}: {error.message}", "pause": pause}
            telemetry.LOGGER.warning("a kind cannot be listed", extra=about)
            return False
        except Exception:  # noqa: BLE001 -- a bug stays with the kind that it happened with
            telemetry.LOGGER.exception("listing a kind failed", extra={"kind": kind.kind, "pause": pause})
            return False
        self._resynced_at[kind] = time.monotonic()
        return True

    def _end_pauses(self) -> None:
        """The API server is back: its absence is no reason to wait any longer, and watches may be deaf for a while."""
        self._back.set()
        self._back = asyncio.Event()
        self._wake.end_pauses()

    async def _tick_forever(self) -> None:
        while True:
            try:
                self._samples = await self._prometheus.fetch()
            except Exception as error:  # noqa: BLE001 -- a bug costs the samples, and nothing else
                self._samples = FleetSamples(error=type(error).__name__)
                telemetry.LOGGER.exception("asking Prometheus failed")
            self._vitals.of_nodes()  # so that it is known since when a node is bad, even while nobody deploys anything
            telemetry.report_health(self._samples.age_seconds, self.resync_age_seconds())
            self.feed.everybody(Call.ROUTINE)
            await asyncio.sleep(self._settings.tick_seconds)

    async def _probe_forever(self) -> None:
        await self._listed.wait()
        async with asker() as ask:
            await self._prober.run(ask)

    async def _hear_forever(self) -> None:
        await self._listed.wait()
        await self._leases.run(self._kube)

    def resync_age_seconds(self) -> float | None:
        """How long ago all kinds had been listed; `None` while one of them never was."""
        if len(self._resynced_at) < len(kube.OBSERVED):
            return None
        return time.monotonic() - min(self._resynced_at.values())

    def idle_seconds(self) -> float:
        """How long ago a listing was last *tried*: an API server that is away is no reason to restart us."""
        return time.monotonic() - min(self._tried_at.values()) if self._tried_at else 0.0

    def starting_seconds(self) -> float:
        """For how long we have been waiting for the first listing; 0 once it is complete, whatever comes later."""
        if self._started_at is None or self._listed.is_set():
            return 0.0
        return time.monotonic() - self._started_at


def _failure(subject: Subject, error: Exception, pause: float) -> dict[str, object]:
    reason = error.reason if isinstance(error, HeteroserveError) else type(error).__name__
    return {
        "subject": f"{subject.kind} {subject.namespace}/{subject.name}",
        "cause": f"{reason}: {error}",
        "pause": pause,
    }
