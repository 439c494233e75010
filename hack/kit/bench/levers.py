"""What a fault pulls: kubectl, the scripts that break nodes and devices, commands inside a node.

Everything goes through one function, ``run``, so that a test sees the commands and no cluster is needed for it.
"""

import asyncio
import shlex
import shutil
from dataclasses import dataclass
from typing import Protocol

from kit import cluster

CONTROL_PLANE = "heteroserve-control-plane"

# the process that a container started, by its id: `ctr` is in every kind of node, `crictl` is not
_PROCESS = "pid=$(ctr -n k8s.io tasks list | awk -v id={} '$1 == id {{print $2}}'); test -n \"$pid\"; "


class Run(Protocol):
    """Runs a program and returns what it says; its complaint is an error."""

    async def __call__(self, *command: str, stdin: str = "") -> str:
        """One call, one program."""
        ...


async def _run(*command: str, stdin: str = "") -> str:
    """Waits for the end of what it began even when it is cancelled: what undoes it must come after it."""
    work = asyncio.ensure_future(cluster.run(*command, stdin=stdin))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.gather(work, return_exceptions=True)
        raise


@dataclass(frozen=True, slots=True)
class Levers:
    """The levers of the local cluster."""

    run: Run = _run

    async def kubectl(self, *words: str, stdin: str = "") -> str:
        """What kubectl says of the local cluster."""
        return await self.run(*kubectl(*words), stdin=stdin)

    async def node(self, verb: str, node: str) -> None:
        """Kills, freezes, thaws or restores a node."""
        await self.run(str(cluster.HACK / "cluster/node.sh"), verb, node)

    async def inside(self, node: str, *command: str) -> str:
        """A command inside a node."""
        return await self.run(*inside(node, *command))

    async def device(self, node: str, device: str, health: str) -> None:
        """Turns an emulated device `healthy` or `unhealthy`."""
        await self.run(str(cluster.HACK / "device-plugin/switch.sh"), node, device, health)

    async def with_process(self, node: str, container: str, script: str) -> str:
        """A shell script in a node where ``$pid`` is the first process of a container."""
        return await self.inside(node, "sh", "-ec", of_process(container, script))


def kubectl(*words: str) -> tuple[str, ...]:
    """The command line of kubectl for the local cluster."""
    program = shutil.which("kubectl", path=cluster.environment()["PATH"]) or "kubectl"
    return program, "--context", cluster.CONTEXT, *words


def inside(node: str, *command: str) -> tuple[str, ...]:
    """The command line that runs a command in a node."""
    return str(cluster.HACK / "cluster/node.sh"), "exec", node, *command


def of_process(container: str, script: str) -> str:
    """A script that first finds the process of a container."""
    return _PROCESS.format(shlex.quote(container)) + script
