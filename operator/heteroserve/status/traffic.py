"""The condition `TrafficReady`: do requests reach the model, and is there somebody to answer each of them? Pure.

A split that follows what is ready leaves no request without an answer. One that is set by hand, or stands because
nothing is changed at the moment, may: then some requests fail while replicas are ready, and nothing else would tell.
"""

from heteroserve.decide.explain import is_by_hand
from heteroserve.model.plan import ClassPlan, Why, describe
from heteroserve.status.view import Verdict, View


def traffic_ready(view: View) -> Verdict:
    """The first thing that stands in the way, from the Gateway to the replicas."""
    return _of_the_gateway(view) or _of_the_split(view)


def _of_the_gateway(view: View) -> Verdict | None:
    snapshot, name = view.snapshot, view.snapshot.deployment.key.name
    if not (snapshot.deployment.gateways or snapshot.cluster.default_gateway):
        return Verdict(status="True", reason="ServiceOnly", message=f"no Gateway is named: use the Service {name}")
    if not snapshot.cluster.gateway_api:
        message = f"the Gateway API is not installed: only the Service {name} reaches the model"
        return Verdict(status="False", reason="GatewayApiMissing", message=message)
    if snapshot.route is None or snapshot.route.accepted is None:
        return Verdict(status="Unknown", reason="RoutePending", message="no Gateway has looked at the route yet")
    if not snapshot.route.accepted:
        return Verdict(status="False", reason="RouteRefused", message=snapshot.route.message)
    return None


def _of_the_split(view: View) -> Verdict:
    receivers = _receivers(view)
    if not receivers:
        return Verdict(status="Unknown", reason=Why.NOT_READY, message="no class can be sent traffic yet")
    if view.ready and not all(c.ready for c in receivers):
        return Verdict(status="False", reason="WeightWithoutReplica", message=_who_is_missing(receivers, view))
    if view.snapshot.deployment.manual_weights and not (view.plan.held or _is_by_hand(view)):
        return Verdict(status="True", reason="ManualWeightsPending", message=_what_is_waited_for(view))
    if not view.snapshot.cluster.envoy_gateway:
        message = (
            "the Gateway routes to the ready classes; without Envoy Gateway there are no active health checks, "
            "no ejection and no retries across classes"
        )
        return Verdict(status="True", reason="RouteAcceptedUnprotected", message=message)
    return Verdict(status="True", reason="RouteAccepted", message="the Gateway routes to the ready classes")


def _receivers(view: View) -> list[ClassPlan]:
    """Whoever is sent requests: a class that no route names is none, unless there is no other."""
    weighted = [c for c in view.plan.classes if c.weight > 0]
    return [c for c in weighted if c.named or view.plan.held] or weighted


def _is_by_hand(view: View) -> bool:
    return is_by_hand(view.snapshot.deployment.manual_weights, view.plan.classes)


def _who_is_missing(receivers: list[ClassPlan], view: View) -> str:
    total = sum(c.weight for c in receivers)
    found = (f"{c.name} ({100 * c.weight / total:.0f} %{_untrusted(c)})" for c in receivers if not c.ready)
    message = f"requests are sent to where no replica is ready: {', '.join(found)}"
    if view.plan.held:
        return f"{message}; nothing is changed: {view.paused or view.plan.doubt}"
    return f"{message}; by hand: spec.traffic.weights" if _is_by_hand(view) else message


def _untrusted(plan: ClassPlan) -> str:
    """Where nobody else is left they are asked all the same, and may answer."""
    return f", not trusted: {describe(plan.suspicions)}" if plan.suspicions else ""


def _what_is_waited_for(view: View) -> str:
    named = view.parts or view.snapshot.deployment.manual_weights
    missing = [c.name for c in view.plan.classes if named.get(c.name) and not c.ready]
    message = "the split follows what is ready until each class that spec.traffic.weights names has a ready replica"
    return f"{message}; not yet: {', '.join(missing)}" if missing else message
