"""What a condition is computed from, and what it says. Pure values."""

from dataclasses import dataclass, replace

from heteroserve.decide.picture import parts_by_hand
from heteroserve.decide.supply import problem_of
from heteroserve.model.outcome import Outcome
from heteroserve.model.plan import Plan
from heteroserve.model.snapshot import Pod, Snapshot
from heteroserve.render.metadata import class_object_name

WRITTEN = "Deployment/"
"""How a Deployment is named in the outcome of a cycle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a condition may look at."""

    snapshot: Snapshot
    plan: Plan
    outcome: Outcome

    @property
    def ready(self) -> int:
        """Replicas of all classes that can answer."""
        return sum(c.ready for c in self.plan.classes)

    @property
    def paused(self) -> str:
        """Who wishes that nothing is changed; empty if nobody does."""
        return "spec.paused is true" if self.snapshot.deployment.paused else self.snapshot.paused

    @property
    def parts(self) -> dict[str, float]:
        """By class: the part of the demand that a split by hand gives to those that can be reached, together 1."""
        known = self.snapshot.hardware
        named = (c.name for c in self.plan.classes if c.name in known and c.reachable)
        return parts_by_hand(self.snapshot.deployment.manual_weights, named)

    @property
    def problems(self) -> tuple[Pod, ...]:
        """Pods that do not serve, with what is known of why. Why a lost one is silent, its witnesses tell."""
        lost = {s.pod for c in self.plan.classes for s in c.suspicions if s.lost}
        now = self.snapshot.now
        pods = (p if p.name in lost else replace(p, problem=problem_of(p, now)) for p in self.snapshot.pods)
        return tuple(p for p in pods if p.problem and not p.terminating and not p.ready)

    @property
    def troubled(self) -> frozenset[str]:
        """Classes that do not come up by waiting."""
        return frozenset({p.class_name for p in self.problems} | self.snapshot.refusals.keys())

    @property
    def updating(self) -> frozenset[str]:
        """Classes on whose Deployment Kubernetes works; what was written just now it has not even seen."""
        written = {w.removeprefix(WRITTEN) for w in self.outcome.written if w.startswith(WRITTEN)}
        deployment = self.snapshot.deployment
        just_now = {c.name for c in self.plan.classes if class_object_name(deployment, c.name) in written}
        return self.snapshot.rolling | just_now


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """A condition's status (`True`, `False`, `Unknown`), reason and message."""

    status: str
    reason: str
    message: str = ""
