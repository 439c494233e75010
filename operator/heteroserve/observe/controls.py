"""Controls: the one switch that people have over the whole fleet, a ConfigMap beside the operator.

    kubectl -n heteroserve-system create configmap heteroserve-controls --from-literal paused=true

Asked for every two seconds by its name, so that no right over other ConfigMaps is needed. What cannot be understood
pauses: somebody wanted something. When the API server does not answer, what was known holds; before its first answer
nothing is done.

Nothing else asks the API server as often as this while it is away, so it is here that its return is noticed.
"""

import asyncio
from collections.abc import Callable

from heteroserve import kube, telemetry
from heteroserve.errors import HeteroserveError, Retry
from heteroserve.kube import Kube, Object

NAME = "heteroserve-controls"
EVERY_SECONDS = 2.0


class Controls:
    """`paused` says why nothing may be changed, and is empty while all may be; `known` is set by the first answer."""

    def __init__(self, namespace: str, ring: Callable[[], None], returned: Callable[[], None]) -> None:
        self._namespace = namespace
        self._ring = ring
        self._returned = returned
        self.paused = ""
        self.known = asyncio.Event()
        self._complaint = ""
        self._away = False

    async def run(self, api: Kube) -> None:
        """Asks until cancelled; rings when the answer is another, and says when there is one again."""
        while True:
            try:
                await self.look(api)
            except Exception:  # noqa: BLE001 -- a bug costs the switch, and nothing else
                telemetry.LOGGER.exception("reading the controls failed")
                self.known.set()
            await asyncio.sleep(EVERY_SECONDS)

    async def look(self, api: Kube) -> None:
        """Asks once. A refusal is no order to pause: an operator without the right has no such switch."""
        try:
            found = await api.get(kube.CONFIG_MAP, self._namespace, NAME)
        except Retry as error:
            self._complain(error)
            self._away = True
            return
        except HeteroserveError as error:
            self._complain(error)
        else:
            self._complaint = ""
            before, self.paused = self.paused, parse_paused(found, f"{self._namespace}/{NAME}")
            if before != self.paused:
                telemetry.LOGGER.warning("the controls changed", extra={"before": before, "after": self.paused})
                self._ring()
        self.known.set()
        if self._away:
            self._away = False
            telemetry.LOGGER.warning("the API server answers again: all is listed, and what was put off is tried")
            self._returned()

    def _complain(self, error: HeteroserveError) -> None:
        """Says once what is wrong, until something else is."""
        if error.reason != self._complaint:
            telemetry.LOGGER.warning("the controls cannot be read", extra={"cause": f"{error.reason}: {error.message}"})
        self._complaint = error.reason


def parse_paused(raw: Object | None, name: str) -> str:
    """Why everything is paused; empty when nothing is."""
    data = (raw or {}).get("data")
    value = data.get("paused", "false") if isinstance(data, dict) else "false"
    if value == "false":
        return ""
    if value == "true":
        return f"the ConfigMap {name} says paused"
    return f'the ConfigMap {name} says paused: "{str(value)[:40]}", write "true" or "false": paused until then'
