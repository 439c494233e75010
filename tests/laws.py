"""What several of the laws in tests/property look at."""

from heteroserve.decide.besides import without_besides
from heteroserve.decide.picture import take
from heteroserve.decide.stabilise import SMALLEST_STEP_UP
from heteroserve.model.plan import ClassPlan, Plan, Why
from heteroserve.model.snapshot import Snapshot


def on_its_way(snapshot: Snapshot, plan: ClassPlan) -> bool:
    """Whether a class stops at its step limit and goes on in the next cycle.

    Its reason does not tell while some of it are to be replaced, the number does.
    """
    if plan.why is Why.STEP or not (plan.departures and plan.render and plan.name in snapshot.replicas):
        return plan.why is Why.STEP
    most = next(c.max_replicas for c in snapshot.deployment.classes if c.name == plan.name)
    now = min(without_besides(plan.name, snapshot, take(snapshot).departing) or 0, most)
    return plan.replicas - len(plan.departures) >= now + max(SMALLEST_STEP_UP, now)


def rolling_after(snapshot: Snapshot, plan: Plan) -> frozenset[str]:
    """The classes that Kubernetes works on once a plan is written: it has not looked at what the plan changed."""
    return snapshot.rolling | {c.name for c in plan.classes if c.render and c.replicas != snapshot.replicas.get(c.name)}
