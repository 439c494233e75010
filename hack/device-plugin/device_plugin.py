"""Accelerators that are not there: a device plugin for the local cluster. Test kit, never part of the product.

The kubelet learns of a plugin when it registers on `kubelet.sock`, and then calls the plugin's own socket beside it. A
device is unhealthy while a file of its name lies in the folder of switches, so that a test breaks and repairs one with
`touch` and `rm` on the node, without any right in the cluster. A kubelet that starts removes every socket: then the
plugin serves and registers anew.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import logging
import pathlib
import signal
from collections.abc import AsyncIterator
from typing import Any

import grpc
import kubelet_api as api

log = logging.getLogger("device-plugin")
POLL_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Plugin:
    """One resource of one node: what the kubelet may ask about it."""

    resource: str
    devices: tuple[str, ...]
    switches: pathlib.Path
    variable: str

    def health(self) -> dict[str, str]:
        return {device: api.UNHEALTHY if (self.switches / device).exists() else api.HEALTHY for device in self.devices}

    async def options(self, _request: Any, _context: Any) -> Any:
        return api.Options()

    async def list_and_watch(self, _request: Any, _context: Any) -> AsyncIterator[Any]:
        told: dict[str, str] = {}
        while True:
            health = self.health()
            if health != told:
                log.info("%s: %s", self.resource, health)
                devices = [api.Device(id=name, health=state) for name, state in health.items()]
                yield api.ListAndWatchResponse(devices=devices)
                told = health
            await asyncio.sleep(POLL_SECONDS)

    async def allocate(self, request: Any, _context: Any) -> Any:
        def answer(wanted: Any) -> Any:
            variable = api.Variable(key=self.variable, value=",".join(sorted(wanted.devices_ids)))
            return api.ContainerAllocateResponse(envs=[variable])

        return api.AllocateResponse(container_responses=[answer(wanted) for wanted in request.container_requests])

    def handler(self) -> grpc.GenericRpcHandler:
        return grpc.method_handlers_generic_handler(
            f"{api.VERSION}.DevicePlugin",
            {
                "GetDevicePluginOptions": grpc.unary_unary_rpc_method_handler(
                    self.options, api.Empty.FromString, api.Options.SerializeToString
                ),
                "Allocate": grpc.unary_unary_rpc_method_handler(
                    self.allocate, api.AllocateRequest.FromString, api.AllocateResponse.SerializeToString
                ),
                "ListAndWatch": grpc.unary_stream_rpc_method_handler(
                    self.list_and_watch, api.Empty.FromString, api.ListAndWatchResponse.SerializeToString
                ),
            },
        )


async def registered(plugin: Plugin, kubelet: pathlib.Path, endpoint: str) -> bool:
    """Tells the kubelet of the plugin; whether there was one that took it."""
    try:
        await register(plugin, kubelet, endpoint)
    except grpc.aio.AioRpcError as error:
        log.info("not registered: %s", error.details())
        return False
    return True


async def register(plugin: Plugin, kubelet: pathlib.Path, endpoint: str) -> None:
    async with grpc.aio.insecure_channel(f"unix:{kubelet}") as channel:
        call = channel.unary_unary(
            f"/{api.VERSION}.Registration/Register",
            request_serializer=api.RegisterRequest.SerializeToString,
            response_deserializer=api.Empty.FromString,
        )
        request = api.RegisterRequest(version=api.VERSION, endpoint=endpoint, resource_name=plugin.resource)
        await call(request, timeout=5)
    log.info("registered %s", plugin.resource)


def identity(socket: pathlib.Path) -> tuple[int, int] | None:
    """A socket made anew may get the old one's inode number, but not its time of birth."""
    try:
        status = socket.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_ctime_ns


def remove(socket: pathlib.Path) -> None:
    socket.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def serving(plugin: Plugin, socket: pathlib.Path) -> AsyncIterator[None]:
    remove(socket)
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((plugin.handler(),))
    server.add_insecure_port(f"unix:{socket}")
    await server.start()
    try:
        yield
    finally:
        await server.stop(grace=None)
        remove(socket)


async def run(plugin: Plugin, folder: pathlib.Path) -> None:
    """Serves and registers, again after every start of the kubelet, until it is cancelled."""
    kubelet = folder / "kubelet.sock"
    endpoint = f"emulated-{plugin.resource.replace('/', '-')}.sock"
    while True:
        async with serving(plugin, folder / endpoint):
            sockets = identity(kubelet), identity(folder / endpoint)
            # a kubelet that starts removes all sockets, and ours may be among them already
            if None in sockets or not await registered(plugin, kubelet, endpoint):
                log.info("no kubelet yet")
                await asyncio.sleep(POLL_SECONDS)
                continue
            while (identity(kubelet), identity(folder / endpoint)) == sockets:  # noqa: ASYNC110, nobody tells of a file's end
                await asyncio.sleep(POLL_SECONDS)
            log.info("the kubelet was started again")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--resource", required=True, help="for example nvidia.com/gpu")
    parser.add_argument("--devices", required=True, help="names of the node's devices, with commas")
    parser.add_argument("--variable", required=True, help="environment variable that names a container's devices")
    parser.add_argument("--folder", type=pathlib.Path, default="/var/lib/kubelet/device-plugins")
    parser.add_argument("--switches", type=pathlib.Path, default="/switches")
    return parser.parse_args()


async def main() -> None:
    given = arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    plugin = Plugin(given.resource, tuple(given.devices.split(",")), given.switches, given.variable)
    running = asyncio.create_task(run(plugin, given.folder))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)  # process 1 has no default for it
    with contextlib.suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    asyncio.run(main())
