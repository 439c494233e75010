"""A cluster in which a drill takes place: one deployment on two classes, its operator, and others who write.

It answers as the API server does, by the verbs that a drill uses, writes to an older version included.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import builders
from heteroserve.cli.forecast import Target, What
from heteroserve.errors import HeteroserveError, Retry
from heteroserve.kube import HARDWARE_CLASS, INFERENCE_DEPLOYMENT, Kind, Object
from heteroserve.observe.parse import parse_time
from heteroserve.render.metadata import DRILL_ANNOTATION

GPU = Target(what=What.CLASS, name="gpu")
CHANGED = Retry("Conflict", "HardwareClass: 409 the object has been modified")


@dataclass
class World:
    """A second passes with each look at the deployment, and the traffic goes and comes one second after the annotation.

    `fails` says which write of it is refused, and how; `happens` is called at each second, `written` at each write.
    """

    moves: bool = True
    fails: dict[int, HeteroserveError] = field(default_factory=dict)
    happens: Callable[["World", int], None] = lambda _, __: None
    written: Callable[["World"], None] = lambda _: None
    annotations: dict[str, str] = field(default_factory=dict)
    writes: list[str | None] = field(default_factory=list)
    version: int = 1
    second: int = 0
    away: bool = False
    ready: str = "True"
    gone: bool = False
    dead: set[str] = field(default_factory=set)
    """Classes whose pod does not answer any more: they get no traffic."""

    @property
    def kube(self) -> "World":
        return self

    def now(self) -> datetime:
        return builders.NOW + timedelta(seconds=self.second)

    def annotate(self, value: str | None) -> None:
        """What somebody does by hand."""
        self.annotations.pop(DRILL_ANNOTATION, None)
        if value is not None:
            self.annotations[DRILL_ANNOTATION] = value
        self.version += 1

    async def get(self, kind: Kind, namespace: str | None, name: str) -> Object | None:
        if kind is INFERENCE_DEPLOYMENT:
            return self._deployment()
        if name != "gpu":
            return None
        head = {"uid": "uid-gpu", "resourceVersion": str(self.version), "annotations": dict(self.annotations)}
        return {"metadata": head}

    def _deployment(self) -> Object | None:
        self.second += 1
        self.happens(self, self.second)
        if self.gone:
            return None
        weights = {"cpu": 100, "gpu": 0} if self.away or "gpu" in self.dead else {"cpu": 10, "gpu": 90}
        until = parse_time(self.annotations.get(DRILL_ANNOTATION))
        self.away = self.moves and until is not None and until > self.now()
        classes = [
            {"name": n, "weight": w, "replicas": 1, "ready": int(n not in self.dead)} for n, w in weights.items()
        ]
        ready = {
            "type": "Ready",
            "status": self.ready,
            "reason": "Reason",
            "message": "words",
            "lastTransitionTime": "2026-01-02T12:00:00Z",
        }
        return builders.raw_deployment(status={"classes": classes, "conditions": [ready]})

    async def list(self, kind: Kind, read: Callable[[Object], Any], namespace: str) -> list[Any]:
        return [read(self._pod(name)) for name in ("cpu", "gpu")]

    def _pod(self, class_name: str) -> Object:
        ready = {"type": "Ready", "status": str(class_name not in self.dead)}
        pod = builders.raw_pod(f"digits-{class_name}-0", class_name=class_name, status={"conditions": [ready]})
        pod["metadata"]["labels"]["heteroserve.dev/serving"] = "true"
        return pod

    async def merge_metadata(self, kind: Kind, namespace: str, name: str, changes: Object, *, uid: str) -> None:
        assert (kind, name, uid) == (HARDWARE_CLASS, "gpu", "uid-gpu")
        value = changes["annotations"][DRILL_ANNOTATION]
        self.writes.append(value)
        failure = self.fails.get(len(self.writes))
        if changes.get("resourceVersion", str(self.version)) != str(self.version):
            failure = CHANGED
        if failure:
            if failure.reason == "NotFound":
                self.annotations.clear()
            raise failure
        self.annotate(value)
        self.written(self)
