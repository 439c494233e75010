"""Writing: makes the manifests true, in their order, and removes what is owned and no longer wanted.

Invariants: nothing is written that is in place already; an object that is not ours is never touched, whatever its
name; a refused manifest is not sent again before it changes or a minute has passed; a write that is put off ends the
cycle, because what comes after it may rely on it; only objects with our owner UID are removed.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from heteroserve import kube
from heteroserve.act.difference import is_in_place, stamp
from heteroserve.errors import Reject, Retry
from heteroserve.kube import Kind, Kube
from heteroserve.model.deployment import InferenceDeployment
from heteroserve.model.outcome import Outcome, Refusal
from heteroserve.observe.store import Store
from heteroserve.render.metadata import CLASS_LABEL, Manifest

REFUSAL_SECONDS = 60.0

Address = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refused:
    manifest: Manifest
    until: float
    refusal: Refusal


class Writer:
    """The one place that changes objects in the cluster. Its memory only saves requests; losing it is harmless."""

    def __init__(self, api: Kube, store: Store) -> None:
        self._kube = api
        self._store = store
        self._settled: dict[Address, tuple[Manifest, Any]] = {}
        self._refused: dict[Address, _Refused] = {}

    async def act(
        self,
        deployment: InferenceDeployment,
        manifests: tuple[Manifest, ...],
        untouched: frozenset[str],
        monotonic: float,
    ) -> Outcome:
        """Applies the manifests and prunes. `untouched` are classes whose objects stay as they are.

        Everything written before a `Retry` stays and is found in place the next time.
        """
        written: list[str] = []
        refused: list[Refusal] = []
        postponed = None
        try:
            for manifest in manifests:
                try:
                    written += await self._ensure(deployment, stamp(manifest), monotonic)
                except Reject as rejection:
                    refused.append(self._remember(manifest, rejection, monotonic))
            async for removed in self._prune(deployment, manifests, untouched):
                written.append(removed)
        except Reject as rejection:  # of a removal
            refused.append(Refusal(reason=rejection.reason, message=rejection.message))
        except Retry as retry:
            postponed = Refusal(reason=retry.reason, message=retry.message)
        return Outcome(written=tuple(written), refused=tuple(refused), postponed=postponed)

    def forget_deleted(self) -> None:
        """Drops what is remembered of objects that are gone."""
        gone = [a for a in (*self._settled, *self._refused) if self._store.get(kube.BY_KIND[a[0]], a[1:]) is None]
        for address in gone:
            self._settled.pop(address, None)
            self._refused.pop(address, None)

    async def _ensure(self, deployment: InferenceDeployment, manifest: Manifest, monotonic: float) -> list[str]:
        kind, address = kube.BY_KIND[manifest["kind"]], address_of(manifest)
        live = self._store.get(kind, address[1:])
        if live is not None and self._is_settled(address, manifest, live):
            return []
        held = self._refused.get(address)
        if held and held.until > monotonic and held.manifest == manifest:
            raise Reject(held.refusal.reason, held.refusal.message)
        live = live or await self._kube.get(kind, address[1], address[2])
        if live is not None:
            _check_ownership(deployment, kind, live)
        applied = await self._kube.apply(kind, manifest)
        self._store.put(kind, applied)
        self._settled[address] = (manifest, _lasting(self._store.get(kind, address[1:])))
        self._refused.pop(address, None)
        return [f"{kind.kind}/{address[2]}"]

    def _is_settled(self, address: Address, manifest: Manifest, live: Manifest) -> bool:
        """Whether it is in place: as we wrote it, or as the server wrote what we sent."""
        return is_in_place(manifest, live) or self._settled.get(address) == (manifest, _lasting(live))

    def _remember(self, manifest: Manifest, rejection: Reject, monotonic: float) -> Refusal:
        address, stamped = address_of(manifest), stamp(manifest)
        held = self._refused.get(address)
        if held and held.until > monotonic and held.manifest == stamped:
            return held.refusal
        refusal = Refusal(reason=rejection.reason, message=rejection.message)
        self._refused[address] = _Refused(manifest=stamped, until=monotonic + REFUSAL_SECONDS, refusal=refusal)
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


def _lasting(live: dict[str, Any]) -> dict[str, Any]:
    """An object without its status, which changes by itself."""
    return {name: value for name, value in live.items() if name != "status"}


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
