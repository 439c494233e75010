"""Whether an object already is what we want. Pure.

Two questions, both must be answered with yes: does it carry the stamp of exactly this manifest (then nothing that we
once wrote and no longer want is left), and does it still hold every field of it (then nobody changed one)?
"""

import hashlib
import json
from typing import Any

STAMP = "heteroserve.dev/applied"


def stamp(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the digest of itself as an annotation."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), STAMP: digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def is_in_place(stamped: dict[str, Any], live: dict[str, Any]) -> bool:
    """Whether `live` is what `stamped` asks for (the stamp is one of the fields that must be there)."""
    return contains(live, stamped)


def contains(live: Any, wanted: Any) -> bool:
    """Whether `live` holds every field of `wanted`; empty and absent are the same, and lists may hold more."""
    if isinstance(wanted, dict):
        return isinstance(live or {}, dict) and all(contains((live or {}).get(k), v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return isinstance(live or [], list) and all(any(contains(item, w) for item in live or []) for w in wanted)
    return bool(live == wanted)
