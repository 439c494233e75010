"""What the operator reports of an InferenceDeployment.

Every field may be absent: a status is written from the first visit on, when little is known.
"""

from typing import Annotated

from pydantic import AfterValidator, Field

from heteroserve.api.common import Conditions, Label, Money, ObservedGeneration, Time
from heteroserve.api.schema import Extra, Model, list_map

Replicas = Annotated[int, Field(ge=0, le=1000)]
TotalReplicas = Annotated[int, Field(ge=0, le=16_000)]
Rate = Annotated[float, Field(ge=0, le=1e9)]
Reason = Annotated[str, Field(min_length=1, max_length=128)]
# a long message is cut rather than refused: it must not keep the rest of a status from being written
Message = Annotated[str, AfterValidator(lambda text: text[:1024]), Extra({"maxLength": 1024})]


class Demand(Model):
    """What the clients ask for."""

    requests_per_second: Rate | None = None
    """Requests per second, as last estimated. Absent while nothing is known."""


class PendingScaleDown(Model):
    """A scale-down that waits for its stabilization window."""

    since: Time
    """Since when fewer replicas would have been enough."""

    replicas: Replicas
    """The most replicas that were needed since then: what the class shrinks to when the window is over."""


class Recovery(Model):
    """How far a class is trusted that came, or came back after replicas of it were lost."""

    since: Time
    """When its trouble began while it is troubled; else when the trouble was over, or the class came."""

    setbacks: Annotated[int, Field(ge=0, le=100)] = 0
    """Troubles in a row. Each doubles the time, two minutes after the first, that nothing may happen before the class
    gets more traffic. Default: 0."""

    troubled: bool = False
    """Whether replicas that are to answer do not. Default: false."""

    floor: Replicas = 0
    """Replicas that answered all the time, and are trusted. Default: 0."""


class ClassStatus(Model):
    """What runs on one class, and why."""

    name: Label
    """Name of the class, as in spec.classes."""

    replicas: Replicas | None = None
    """Replicas that the operator wants on this class."""

    ready: Replicas | None = None
    """Replicas that can answer."""

    weight: Annotated[int, Field(ge=0, le=100)] | None = None
    """Share of the requests that is sent to this class, in percent."""

    capacity: Rate | None = None
    """Requests per second that the ready replicas can answer within the objective."""

    cost_per_hour: Money | None = None
    """Cost of the replicas on this class per hour."""

    reason: Reason | None = None
    """Why the class has these replicas and this weight, as one word in CamelCase for programs."""

    message: Message | None = None
    """The same for people."""

    pending_scale_down: PendingScaleDown | None = None
    """A scale-down that waits for spec.scaling.behavior.scaleDown.stabilizationWindowSeconds. Absent when none
    waits."""

    recovery: Recovery | None = None
    """How far the class is trusted that came, or came back. Absent when it is trusted in full."""


class Decision(Model):
    """A change that the operator made, and why."""

    time: Time
    """When it was decided."""

    class_name: Annotated[str, Field(max_length=63)] = Field(default="", alias="class")
    """The class that it is about; empty when it is about the whole deployment."""

    from_: Annotated[str, Field(max_length=128)] = Field(default="", alias="from")
    """What was before, such as 2 replicas."""

    to: Annotated[str, Field(max_length=128)] = ""
    """What is wanted since, such as 4 replicas."""

    reason: Reason
    """Why, as one word in CamelCase for programs."""

    message: Message = ""
    """The same for people, with the figures that led to it."""


class InferenceDeploymentStatus(Model):
    """What was last seen and decided. Written by the operator."""

    observed_generation: ObservedGeneration | None = None
    """The metadata.generation that this status is about."""

    conditions: Conditions = ()
    """What the operator has found out, one entry per type. Ready is the one to wait for."""

    version: Annotated[str, Field(max_length=64)] | None = None
    """Version of the model that is served."""

    replicas: TotalReplicas | None = None
    """Replicas that the operator wants, over all classes."""

    ready_replicas: TotalReplicas | None = None
    """Replicas that can answer, over all classes."""

    cost_per_hour: Money | None = None
    """Cost of all replicas per hour."""

    demand: Demand | None = None
    """What the clients ask for."""

    classes: Annotated[tuple[ClassStatus, ...], Field(max_length=32), list_map("name")] = ()
    """What runs on each class, and why. A class that spec.classes no longer names stays until its replicas are
    gone."""

    decisions: Annotated[tuple[Decision, ...], Field(max_length=20)] = ()
    """The last changes that the operator made and why, newest first."""
