"""render: Plan in, manifests out, in the order in which they must be written. Pure.

One kind per file, one `build_*` each; a new owned object is a new file and a line here. The order is part of the
contract: what a route names must exist before the route, the traffic leaves a class before its replicas do, and no pod
is made before the policy that shields it. `act/carry_out.py` puts routes that need none of the rest before all of it.
"""

from heteroserve.model.plan import ClassPlan, Plan
from heteroserve.model.snapshot import Snapshot
from heteroserve.render.disruption import build_disruption_budget
from heteroserve.render.metadata import Manifest
from heteroserve.render.network import build_network_policy
from heteroserve.render.placeholder import build_placeholder
from heteroserve.render.route import build_grpc_route, build_http_route
from heteroserve.render.service import build_class_service, build_service
from heteroserve.render.traffic_policy import build_traffic_policy
from heteroserve.render.workload import build_workload


def render(snapshot: Snapshot, plan: Plan) -> tuple[Manifest, ...]:
    """Everything that the deployment should own, in writing order."""
    deployment = snapshot.deployment
    known = [c for c in plan.classes if c.render]
    return (
        build_service(deployment),
        *(build_class_service(deployment, c.name) for c in known),
        *_placeholders(snapshot, known),
        *_traffic(snapshot, plan),
        build_network_policy(deployment, snapshot.cluster),
        *(_workload(snapshot, c) for c in known),
        *(build_disruption_budget(deployment, c.name) for c in known),
    )


def _placeholders(snapshot: Snapshot, known: list[ClassPlan]) -> tuple[Manifest, ...]:
    if not snapshot.keeps_placeholders:
        return ()
    ipv6 = any(":" in pod.address for pod in snapshot.pods if pod.address)
    return tuple(build_placeholder(snapshot.deployment, c.name, ipv6=ipv6) for c in known)


def _traffic(snapshot: Snapshot, plan: Plan) -> tuple[Manifest, ...]:
    deployment, gateways = snapshot.deployment, snapshot.gateways
    if not gateways:
        return ()
    routes = (build_http_route(deployment, plan, gateways), build_grpc_route(deployment, plan, gateways))
    return (*routes, build_traffic_policy(deployment)) if snapshot.cluster.envoy_gateway else routes


def _workload(snapshot: Snapshot, plan: ClassPlan) -> Manifest:
    target = next(c for c in snapshot.deployment.classes if c.name == plan.name)
    return build_workload(snapshot.deployment, target, snapshot.hardware[plan.name], plan.replicas)
