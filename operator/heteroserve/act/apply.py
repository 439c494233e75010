"""Writing: makes the manifests true, in their order, and removes what is owned and no longer wanted.

Invariants: nothing is written that is in place already; an object that is not ours is never touched, whatever its
name; a refused manifest is not sent again before it changes or a minute has passed; after a write that is put off
nothing is written that may rely on it: only routes are, as far as what they lead to exists; only objects with our owner
UID are removed. Whoever writes against us does not keep us writing: the same manifest is not sent to the same object
twice within five seconds. But an earlier write of ours that arrives late is written over at once, if once only.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from heteroserve import kube
from heteroserve.act.difference import STAMP, digest, has_foreign_fields, is_in_place, stamp, stamp_of
from heteroserve.errors import Reject, Retry
from heteroserve.kube import Kind, Kube, Object
from heteroserve.model.deployment import InferenceDeployment
from heteroserve.model.outcome import Outcome, Refusal
from heteroserve.observe.store import Store
from heteroserve.render.metadata import CLASS_LABEL, Manifest

REFUSAL_SECONDS = 60.0
REPAIR_SECONDS = 5.0
ROUTES = frozenset({kube.HTTP_ROUTE.kind, kube.GRPC_ROUTE.kind})

Address = tuple[str, str, str]
NOTHING_YET = Outcome()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settled:
    """What the API server made of which manifest, and when: what it writes otherwise, or others hold, is no change.

    `over` is the stamp that stood there, if this repaired something: the same one is not hurried away a second time.
    """

    stamp: str
    live: str
    at: float
    over: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    stamp: str
    until: float
    refusal: Refusal


class Writer:
    """The one place that changes objects in the cluster. Its memory only saves requests; losing it is harmless."""

    def __init__(self, api: Kube, store: Store) -> None:
        self._kube = api
        self._store = store
        self._settled: dict[Address, _Settled] = {}
        self._refused: dict[Address, _Refused] = {}

    async def move_weights(
        self, deployment: InferenceDeployment, manifests: tuple[Manifest, ...], monotonic: float
    ) -> Outcome:
        """Applies the routes that need nothing else: those that stand already, and lead to Services that all exist."""
        routes = tuple(m for m in manifests if self._stands(m) and self._as_far_as_it_leads(m) == m)
        return await self._apply(deployment, routes, monotonic, NOTHING_YET)

    async def act(
        self,
        deployment: InferenceDeployment,
        manifests: tuple[Manifest, ...],
        untouched: frozenset[str],
        monotonic: float,
        *,
        before: Outcome = NOTHING_YET,
    ) -> Outcome:
        """Applies the manifests and prunes. `untouched` are classes whose objects stay as they are.

        Everything written before a `Retry` stays and is found in place the next time. It may have come `before` this.
        """
        outcome = await self._apply(deployment, manifests, monotonic, before)
        if outcome.postponed:
            return outcome
        removed: list[str] = []
        try:
            async for name in self._prune(deployment, manifests, untouched):
                removed.append(name)  # noqa: PERF401 -- what was removed before an error is told
        except Reject as rejection:
            refusal = Refusal(reason=rejection.reason, message=rejection.message)
            outcome = replace(outcome, refused=(*outcome.refused, refusal))
        except Retry as retry:
            outcome = replace(outcome, postponed=Refusal(reason=retry.reason, message=retry.message))
        return replace(outcome, written=(*outcome.written, *removed))

    def forget_deleted(self) -> None:
        """Drops what is remembered of objects that are gone."""
        gone = [a for a in (*self._settled, *self._refused) if self._store.get(kube.BY_KIND[a[0]], a[1:]) is None]
        for address in gone:
            self._settled.pop(address, None)
            self._refused.pop(address, None)

    async def _apply(
        self, deployment: InferenceDeployment, manifests: tuple[Manifest, ...], monotonic: float, before: Outcome
    ) -> Outcome:
        written, refused, postponed = list(before.written), list(before.refused), before.postponed
        for wanted in manifests:
            possible = self._as_far_as_it_leads(wanted) if postponed else wanted
            if possible is None:
                continue
            manifest = stamp(possible)
            try:
                written += await self._ensure(deployment, manifest, monotonic)
            except Reject as rejection:
                refused.append(self._remember(manifest, rejection, monotonic))
            except Retry as retry:
                postponed = postponed or Refusal(reason=retry.reason, message=retry.message)
        return Outcome(written=tuple(written), refused=tuple(refused), postponed=postponed)

    def _stands(self, manifest: Manifest) -> bool:
        return self._store.get(kube.BY_KIND[manifest["kind"]], address_of(manifest)[1:]) is not None

    def _as_far_as_it_leads(self, manifest: Manifest) -> Manifest | None:
        """A route without backends that do not exist; `None` for what is no route, or would lead nowhere then."""
        if manifest["kind"] not in ROUTES:
            return None
        spec, namespace = manifest["spec"], manifest["metadata"]["namespace"]

        def exists(backend: Manifest) -> bool:
            return self._store.get(kube.SERVICE, (namespace, backend["name"])) is not None

        rules = [{**rule, "backendRefs": list(filter(exists, rule["backendRefs"]))} for rule in spec["rules"]]
        leads = all(any(backend["weight"] for backend in rule["backendRefs"]) for rule in rules)
        return {**manifest, "spec": {**spec, "rules": rules}} if leads else None

    async def _ensure(self, deployment: InferenceDeployment, manifest: Manifest, monotonic: float) -> list[str]:
        kind, address = kube.BY_KIND[manifest["kind"]], address_of(manifest)
        live = self._store.get(kind, address[1:])
        if live is not None and self._is_left_alone(manifest, live, monotonic):
            return []
        held = self._held(manifest, monotonic)
        if held:
            raise Reject(held.reason, held.message)
        live = live or await self._kube.get(kind, address[1], address[2])
        if live is not None:
            _check_ownership(deployment, kind, live)
        self._store.put(kind, await self._write(kind, manifest))
        written, settled = _lasting(self._store.get(kind, address[1:])), self._settled.get(address)
        over = _stamp_on(live) if settled and settled.stamp == stamp_of(manifest) else None
        self._settled[address] = _Settled(stamp=stamp_of(manifest), live=written, at=monotonic, over=over)
        self._refused.pop(address, None)
        return [f"{kind.kind}/{address[2]}"]

    async def _write(self, kind: Kind, manifest: Manifest) -> Object:
        """Applies it. A field that somebody else added is not taken away by that, so where none may be, all are."""
        applied = await self._kube.apply(kind, manifest)
        if not has_foreign_fields(manifest, applied):
            return applied
        _, namespace, name = address_of(manifest)
        return await self._kube.replace_spec(kind, namespace, name, manifest["spec"], uid=applied["metadata"]["uid"])

    def _is_left_alone(self, manifest: Manifest, live: Manifest, monotonic: float) -> bool:
        """Whether it is in place, as we wrote it or as the server wrote what we sent, or was written just now.

        Another stamp of ours on it is no hand of somebody else's: a write that we gave up may be carried out late.
        """
        if is_in_place(manifest, live):
            return True
        settled = self._settled.get(address_of(manifest))
        if settled is None or settled.stamp != stamp_of(manifest):
            return False
        late = _stamp_on(live) not in {None, settled.stamp, settled.over}
        return settled.live == _lasting(live) or (monotonic < settled.at + REPAIR_SECONDS and not late)

    def _held(self, manifest: Manifest, monotonic: float) -> Refusal | None:
        """What was said of this very manifest less than a minute ago."""
        held = self._refused.get(address_of(manifest))
        return held.refusal if held and held.until > monotonic and held.stamp == stamp_of(manifest) else None

    def _remember(self, manifest: Manifest, rejection: Reject, monotonic: float) -> Refusal:
        held = self._held(manifest, monotonic)
        if held:
            return held
        refusal = Refusal(reason=rejection.reason, message=rejection.message)
        until = monotonic + REFUSAL_SECONDS
        self._refused[address_of(manifest)] = _Refused(stamp=stamp_of(manifest), until=until, refusal=refusal)
        return refusal

    async def _prune(
        self, deployment: InferenceDeployment, manifests: tuple[Manifest, ...], untouched: frozenset[str]
    ) -> AsyncIterator[str]:
        wanted = {address_of(m) for m in manifests}
        for kind in kube.OWNED:
            for live in self._store.owned(kind, deployment.key):
                metadata = live["metadata"]
                kept = metadata["labels"].get(CLASS_LABEL) in untouched
                if (
                    kept
                    or (kind.kind, metadata["namespace"], metadata["name"]) in wanted
                    or not _ours(deployment, live)
                ):
                    continue
                await self._kube.delete(kind, metadata["namespace"], metadata["name"], uid=metadata["uid"])
                self._store.remove(kind, live)
                yield f"{kind.kind}/{metadata['name']}"


def address_of(manifest: Manifest) -> Address:
    """Kind, namespace and name."""
    return manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"]


def _lasting(live: dict[str, Any]) -> str:
    """The digest of an object without its status, which changes by itself."""
    return digest({name: value for name, value in live.items() if name != "status"})


def _stamp_on(live: dict[str, Any] | None) -> str | None:
    """The stamp that an object in the cluster carries, if it does."""
    found: str | None = live["metadata"].get("annotations", {}).get(STAMP) if live else None
    return found


def _owners(live: dict[str, Any]) -> list[dict[str, Any]]:
    return [o for o in live["metadata"].get("ownerReferences", ()) if o.get("controller")]


def _ours(deployment: InferenceDeployment, live: dict[str, Any]) -> bool:
    return any(owner["uid"] == deployment.uid for owner in _owners(live))


def _check_ownership(deployment: InferenceDeployment, kind: Kind, live: dict[str, Any]) -> None:
    """Refuses to touch what is not ours. A namesake of an earlier life of ours is being collected: that passes."""
    if _ours(deployment, live):
        return
    name = live["metadata"]["name"]
    predecessor = any(
        owner["kind"] == kube.INFERENCE_DEPLOYMENT.kind and owner["name"] == deployment.key.name
        for owner in _owners(live)
    )
    if predecessor:
        raise Retry("PredecessorLeaving", f"{kind.kind} {name} of the deleted {deployment.key} is not collected yet")
    raise Reject(
        "NameTaken",
        f"{kind.kind} {name} exists and does not belong to this InferenceDeployment: "
        "rename or delete it, or create the InferenceDeployment under another name",
    )
