"""Ages of the nodes' heartbeats: each kubelet renews the Lease of its node in `kube-node-lease` every 10 s.

They are listed every 5 s and not watched: a watch would bring one event per node each 10 s, a hundred a second with a
thousand nodes, to learn nothing in most of them; Kopf would parse and hand on every single one.

An age is counted by our own clock, from when we *saw* the Lease change, so that no node's clock matters. It is as of
the last listing and does not grow by itself; when a listing fails, nothing is known, and counting begins anew when they
can be listed again: kubelets renew at the same API server, and while it is away nobody is late.

Only the first listing has nothing to compare with. A node that died before we started must not be believed for another
20 s, so the Leases' own times count there, unless more of them are off than can have failed: then the clocks differ
(or nobody could renew), and everybody starts at zero.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

from heteroserve import kube
from heteroserve.decide.health import LEASE_EXPIRED_SECONDS, MASS_SHARE
from heteroserve.errors import HeteroserveError
from heteroserve.kube import Kube, Object
from heteroserve.observe.parse import parse_lease
from heteroserve.telemetry import LOGGER
from heteroserve.wake import Call

NAMESPACE = "kube-node-lease"
EVERY_SECONDS = 5.0
LONGEST_LEASE_SECONDS = 2 * LEASE_EXPIRED_SECONDS
"""Kubernetes' default. A kubelet renews four times in that; one that does so less often cannot be judged by 20 s."""

Renewal = tuple[str, tuple[datetime | None, int]]
"""A node, when it renewed by its own clock, and for how many seconds it then holds."""

Ring = Callable[[frozenset[str], Call], None]
"""Takes nodes whose Lease has expired (that is a failure), or is not expired any more."""


class Leases:
    """What is known of the heartbeats."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._seen: dict[str, tuple[datetime, float]] = {}
        """By node: the time in the Lease, and when it was written, by our clock."""
        self._ages: dict[str, float] = {}
        self._changed: dict[str, tuple[datetime, float | None]] = {}
        """By node: the time in the Lease, and since when it may have it. No failed listing takes that away."""
        self._listed_at: float | None = None
        self._starting = True
        self._complaint = ""
        self.crossings = 0
        """How often the threshold was crossed, by any node."""

    def age(self, node: str) -> float | None:
        """For how long a node had not renewed at the last listing; `None` when nobody knows."""
        return self._ages.get(node)

    def renewed_seconds(self, node: str, now: float) -> float | None:
        """How long ago a node renewed at the earliest, of what we saw change; `None` when we saw nothing."""
        _, at = self._changed.get(node, (None, None))
        return None if at is None else now - at

    async def run(self, api: Kube) -> None:
        """Lists until cancelled."""
        while True:
            now = asyncio.get_running_loop().time()  # before asking: the answer may be long in coming
            try:
                self.learn(await api.list(kube.LEASE, read, NAMESPACE) or (), now, datetime.now(UTC))
                self._complaint = ""
            except HeteroserveError as error:
                self.forget()
                self._complain(error)
            except Exception:  # noqa: BLE001 -- a bug costs the heartbeats, and nothing else
                self.forget()
                LOGGER.exception("listing the heartbeats of nodes failed")
            await asyncio.sleep(EVERY_SECONDS)

    def learn(self, leases: Iterable[Renewal], now: float, wall: datetime) -> None:
        """Takes a listing in, as of `now` by our clock and `wall` by everybody's."""
        renewed = _times(leases)
        first = _ages_by_wall_clock(renewed, wall) if self._starting else {}
        self._starting = False
        self._seen = {
            node: seen if (seen := self._seen.get(node)) and seen[0] == time else (time, now - first.get(node, 0.0))
            for node, time in renewed.items()
        }
        self._changed = {node: self._when_changed(node, time) for node, time in renewed.items()}
        self._listed_at = now
        self._set({node: now - since for node, (_, since) in self._seen.items()})

    def _when_changed(self, node: str, time: datetime) -> tuple[datetime, float | None]:
        """It happened after the last listing that went well, however long ago that was."""
        before, at = self._changed.get(node, (time, None))
        return time, at if before == time else self._listed_at

    def forget(self) -> None:
        """A listing failed: nothing is known."""
        self._starting, self._seen = False, {}
        self._set({})

    def _set(self, ages: dict[str, float]) -> None:
        before, after, self._ages = _expired(self._ages), _expired(ages), ages
        self.crossings += before != after
        for changed, call in ((after - before, Call.FAILURE), (before - after, Call.CHANGE)):
            if changed:
                self._ring(changed, call)

    def _complain(self, error: HeteroserveError) -> None:
        """Says once what is wrong, until something else is."""
        if error.reason != self._complaint:
            LOGGER.warning("the heartbeats of nodes cannot be listed", extra={"cause": error.message})
        self._complaint = error.reason


def read(raw: Object) -> Renewal:
    """What is kept of a Lease."""
    return raw["metadata"]["name"], parse_lease(raw)


def _times(leases: Iterable[Renewal]) -> dict[str, datetime]:
    """When each node renewed by its own clock, of those that renew often enough."""
    return {node: time for node, (time, seconds) in leases if time and seconds <= LONGEST_LEASE_SECONDS}


def _ages_by_wall_clock(renewed: Mapping[str, datetime], wall: datetime) -> dict[str, float]:
    ages = {node: (wall - time).total_seconds() for node, time in renewed.items()}
    off = sum(abs(age) > LEASE_EXPIRED_SECONDS for age in ages.values())
    return {node: max(0.0, age) for node, age in ages.items()} if off <= MASS_SHARE * len(ages) else {}


def _expired(ages: Mapping[str, float]) -> frozenset[str]:
    return frozenset(node for node, age in ages.items() if age > LEASE_EXPIRED_SECONDS)
