"""The NetworkPolicy: who may talk to the pods, and to whom they may talk.

In: the gateways' namespaces and the deployment's own (inference), Prometheus' namespace (metrics), the operator's own
(its probes). The kubelet's probes come from the node and are not concerned. Out: nothing, unless the model is read from
an object store.
"""

from heteroserve.model.deployment import InferenceDeployment, ObjectStoreSource
from heteroserve.model.snapshot import Cluster
from heteroserve.render.metadata import GRPC_PORT, HTTP_PORT, METRICS_PORT, Manifest, manifest, selector

NAMESPACE_LABEL = "kubernetes.io/metadata.name"


def build_network_policy(deployment: InferenceDeployment, cluster: Cluster) -> Manifest:
    """The NetworkPolicy `<name>` over all pods of the deployment."""
    own = deployment.key.namespace
    ingress = [
        _from({own, *cluster.ingress_namespaces}, HTTP_PORT, GRPC_PORT),
        _from({cluster.operator_namespace}, HTTP_PORT),
    ]
    if cluster.metrics_namespaces:
        ingress.append(_from(set(cluster.metrics_namespaces), METRICS_PORT))
    return {
        **manifest(deployment, "networking.k8s.io/v1", "NetworkPolicy", deployment.key.name),
        "spec": {
            "podSelector": {"matchLabels": selector(deployment)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": ingress,
            "egress": [{}] if isinstance(deployment.model.source, ObjectStoreSource) else [],
        },
    }


def _from(namespaces: set[str], *ports: int) -> Manifest:
    names = {"key": NAMESPACE_LABEL, "operator": "In", "values": sorted(namespaces)}
    return {
        "from": [{"namespaceSelector": {"matchExpressions": [names]}}],
        "ports": [{"protocol": "TCP", "port": port} for port in ports],
    }
