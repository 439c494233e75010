"""Events: what people see under `kubectl describe`. One per change, with a stable reason; losing one is no failure."""

from dataclasses import dataclass
from datetime import datetime

from heteroserve import kube
from heteroserve.errors import HeteroserveError
from heteroserve.kube import Kube, Object

MESSAGE_LENGTH = 1000
DEFAULT_NAMESPACE = "default"
"""Where Events about cluster-wide objects live."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regarding:
    """The object that an Event is about."""

    kind: str
    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An Event as a value. `action` is what the operator did: `Decide`, `Observe`."""

    warning: bool
    reason: str
    action: str
    message: str


async def announce(api: Kube, regarding: Regarding, announcements: tuple[Announcement, ...], now: datetime) -> None:
    """Posts the Events; the cluster's refusal is not worth a retry."""
    for number, announcement in enumerate(announcements):
        try:
            await api.create(kube.EVENT, _event(regarding, announcement, now, number))
        except HeteroserveError:
            return


def _event(regarding: Regarding, announcement: Announcement, now: datetime, number: int) -> Object:
    namespace = regarding.namespace or DEFAULT_NAMESPACE
    return {
        "apiVersion": kube.EVENT.api_version,
        "kind": kube.EVENT.kind,
        "metadata": {"namespace": namespace, "name": f"{regarding.name}.{int(now.timestamp() * 1e6):x}.{number}"},
        "eventTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": "heteroserve.dev/operator",
        "reportingInstance": "heteroserve",
        "type": "Warning" if announcement.warning else "Normal",
        "reason": announcement.reason,
        "action": announcement.action,
        "note": announcement.message[:MESSAGE_LENGTH],
        "regarding": {
            "apiVersion": kube.INFERENCE_DEPLOYMENT.api_version,
            "kind": regarding.kind,
            "namespace": regarding.namespace,
            "name": regarding.name,
            "uid": regarding.uid,
        },
    }
