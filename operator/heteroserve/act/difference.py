"""Whether an object already is what we want. Pure.

Three questions, all must be answered with yes. Does it carry the stamp of exactly this manifest (then nothing that we
once wrote and no longer want is left)? Does it still hold every field of it (then nobody changed one)? And is nothing
added where an addition stops or diverts requests: to a list that we send, to what selects pods and nodes, and to the
whole spec of what nobody but us has any business with?
"""

import hashlib
import json
from typing import Any

STAMP = "heteroserve.dev/applied"
WHOLLY_OURS = frozenset({"HTTPRoute", "GRPCRoute", "BackendTrafficPolicy", "NetworkPolicy"})
"""Kinds of whose spec we say everything, so that a field more is a change."""
SELECTORS = frozenset({"selector", "matchLabels", "nodeSelector"})
"""Maps in which one entry more selects fewer pods or nodes."""


def digest(value: Any) -> str:
    """A few characters that tell one value from another."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def stamp(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the digest of itself as an annotation."""
    metadata = manifest["metadata"]
    annotations = {**metadata.get("annotations", {}), STAMP: digest(manifest)}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def stamp_of(stamped: dict[str, Any]) -> str:
    """The digest that a stamped manifest carries."""
    found: str = stamped["metadata"]["annotations"][STAMP]
    return found


def is_in_place(stamped: dict[str, Any], live: dict[str, Any]) -> bool:
    """Whether `live` is what `stamped` asks for (the stamp is one of the fields that must be there)."""
    return contains(live, stamped) and not has_foreign_fields(stamped, live)


def has_foreign_fields(stamped: dict[str, Any], live: dict[str, Any]) -> bool:
    """Whether somebody added a field to a spec that is wholly ours."""
    return stamped["kind"] in WHOLLY_OURS and not is_exactly(live.get("spec"), stamped.get("spec"))


def contains(live: Any, wanted: Any) -> bool:
    """Whether `live` holds every field of `wanted`; empty and absent are the same.

    An object may have more fields, because the API server fills in defaults; a list has as many items, in that order.
    """
    if isinstance(wanted, dict):
        return isinstance(live or {}, dict) and all(_holds(k, (live or {}).get(k), v) for k, v in wanted.items())
    if isinstance(wanted, list):
        return _is_list_of(len(wanted), live) and all(map(contains, live or (), wanted))
    return bool(live == wanted)


def is_exactly(live: Any, wanted: Any) -> bool:
    """Whether `live` is `wanted` and no more; empty, zero and false are as good as absent."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        return all(is_exactly(live.get(key), wanted.get(key)) for key in live.keys() | wanted.keys())
    if isinstance(wanted, list):
        return _is_list_of(len(wanted), live) and all(map(is_exactly, live or (), wanted))
    return bool(live == wanted or not (live or wanted))


def _holds(key: str, live: Any, wanted: Any) -> bool:
    return contains(live, wanted) and (key not in SELECTORS or is_exactly(live or {}, wanted))


def _is_list_of(length: int, live: Any) -> bool:
    return isinstance(live or [], list) and len(live or ()) == length
