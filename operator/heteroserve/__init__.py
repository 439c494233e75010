"""heteroserve: a Kubernetes operator for elastic inference on mixed hardware."""

__version__ = "0.1.0"
