"""The placeholder: an address that nobody answers at, so that a class is never without one.

A gateway that finds a class with weight and no address at all changes how it routes: measured with Envoy Gateway, the
class's share is answered 503 until its weight is 0, and now and then everything is for as long as 15 s. A pod that is
deleted by force takes its address with it at once, and no patch of ours is faster. With the placeholder beside it the
class has one address left, which is not ready, and so gets no request.
"""

from heteroserve.model.deployment import InferenceDeployment
from heteroserve.render.metadata import GRPC_PORT, HTTP_PORT, Manifest, class_object_name, manifest

NOWHERE = {"IPv4": "255.255.255.255", "IPv6": "ff0e::1"}
"""No machine has it, and the kernel refuses to connect to it: not a single packet leaves. (A broadcast and a multicast
address; the API server takes neither a loopback nor a link-local one.)"""


def build_placeholder(deployment: InferenceDeployment, class_name: str, *, ipv6: bool) -> Manifest:
    """The EndpointSlice `<name>-<class>-placeholder` of the class's Service, beside those that Kubernetes keeps."""
    service = class_object_name(deployment, class_name)
    head = manifest(deployment, "discovery.k8s.io/v1", "EndpointSlice", f"{service}-placeholder", class_name)
    family = "IPv6" if ipv6 else "IPv4"
    labels = {"kubernetes.io/service-name": service, "endpointslice.kubernetes.io/managed-by": "heteroserve.dev"}
    return {
        **head,
        "metadata": {**head["metadata"], "labels": {**head["metadata"]["labels"], **labels}},
        "addressType": family,
        "endpoints": [
            {
                "addresses": [NOWHERE[family]],
                "conditions": {"ready": False, "serving": False, "terminating": False},
            }
        ],
        "ports": [
            {"name": "http", "port": HTTP_PORT, "protocol": "TCP", "appProtocol": "http"},
            {"name": "grpc", "port": GRPC_PORT, "protocol": "TCP", "appProtocol": "kubernetes.io/h2c"},
        ],
    }
