"""The emulated accelerators' device plugin, against a kubelet of two sockets."""

import asyncio
import contextlib
import importlib
import pathlib
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import grpc
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "hack" / "device-plugin"))
api = importlib.import_module("kubelet_api")
device_plugin = importlib.import_module("device_plugin")


class Kubelet:
    """Takes registrations on its socket, and calls the plugin as a kubelet does."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder
        self.registered: asyncio.Queue[Any] = asyncio.Queue()

    async def start(self) -> None:
        for socket in self.folder.glob("*.sock"):  # as a kubelet does
            socket.unlink()
        register = grpc.unary_unary_rpc_method_handler(
            self._register, api.RegisterRequest.FromString, api.Empty.SerializeToString
        )
        self.server = grpc.aio.server()
        self.server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("v1beta1.Registration", {"Register": register}),)
        )
        self.server.add_insecure_port(f"unix:{self.folder}/kubelet.sock")
        await self.server.start()

    async def stop(self) -> None:
        await self.server.stop(None)

    async def _register(self, request: Any, _context: Any) -> Any:
        await self.registered.put(request)
        return api.Empty()

    async def registration(self) -> Any:
        return await asyncio.wait_for(self.registered.get(), 10)

    async def health(self, endpoint: str) -> AsyncGenerator[dict[str, str], None]:
        async with grpc.aio.insecure_channel(f"unix:{self.folder}/{endpoint}") as channel:
            watch = channel.unary_stream(
                "/v1beta1.DevicePlugin/ListAndWatch", lambda _: b"", api.ListAndWatchResponse.FromString
            )
            async for response in watch(api.Empty()):
                yield {device.id: device.health for device in response.devices}

    async def call(self, endpoint: str, method: str, request: Any, answer: Any) -> Any:
        async with grpc.aio.insecure_channel(f"unix:{self.folder}/{endpoint}") as channel:
            serialize = type(request).SerializeToString
            return await channel.unary_unary(f"/v1beta1.DevicePlugin/{method}", serialize, answer.FromString)(request)


@pytest.fixture
def folder() -> Iterator[pathlib.Path]:
    # not tmp_path: a socket's path has 107 characters at most
    with tempfile.TemporaryDirectory(prefix="dp") as short:
        yield pathlib.Path(short)


@pytest.fixture
def plugin(tmp_path: pathlib.Path) -> Any:
    return device_plugin.Plugin("nvidia.com/gpu", ("gpu-0", "gpu-1"), tmp_path, "NVIDIA_VISIBLE_DEVICES")


@pytest.fixture
async def kubelet(folder: pathlib.Path) -> AsyncIterator[Kubelet]:
    kubelet = Kubelet(folder)
    await kubelet.start()
    yield kubelet
    await kubelet.stop()


@pytest.fixture
async def running(plugin: Any, folder: pathlib.Path, kubelet: Kubelet) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(device_plugin.run(plugin, folder))
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_registers_its_resource_under_its_own_socket(
    kubelet: Kubelet, running: asyncio.Task[None], folder: pathlib.Path
) -> None:
    request = await kubelet.registration()
    assert (request.version, request.resource_name) == ("v1beta1", "nvidia.com/gpu")
    assert (folder / request.endpoint).is_socket()


async def test_it_asks_for_none_of_the_optional_calls(kubelet: Kubelet, running: asyncio.Task[None]) -> None:
    request = await kubelet.registration()
    options = await kubelet.call(request.endpoint, "GetDevicePluginOptions", api.Empty(), api.Options)
    assert not options.pre_start_required
    assert not options.get_preferred_allocation_available


async def test_a_switch_breaks_a_device_and_its_removal_repairs_it(
    kubelet: Kubelet, running: asyncio.Task[None], plugin: Any
) -> None:
    health = kubelet.health((await kubelet.registration()).endpoint)
    assert await anext(health) == {"gpu-0": "Healthy", "gpu-1": "Healthy"}
    (plugin.switches / "gpu-1").touch()
    assert await anext(health) == {"gpu-0": "Healthy", "gpu-1": "Unhealthy"}
    (plugin.switches / "gpu-1").unlink()
    assert await anext(health) == {"gpu-0": "Healthy", "gpu-1": "Healthy"}
    await health.aclose()


async def test_a_container_is_told_its_devices(kubelet: Kubelet, running: asyncio.Task[None]) -> None:
    endpoint = (await kubelet.registration()).endpoint
    wanted = [api.ContainerAllocateRequest(devices_ids=ids) for ids in (["gpu-1", "gpu-0"], ["gpu-1"])]
    request = api.AllocateRequest(container_requests=wanted)
    answer = await kubelet.call(endpoint, "Allocate", request, api.AllocateResponse)
    told = [{variable.key: variable.value for variable in one.envs} for one in answer.container_responses]
    assert told == [{"NVIDIA_VISIBLE_DEVICES": "gpu-0,gpu-1"}, {"NVIDIA_VISIBLE_DEVICES": "gpu-1"}]


async def heard_again(kubelet: Kubelet, endpoint: str) -> dict[str, str]:
    """What it says after a registration; one that the kubelet's start overtook is followed by another."""
    while True:
        assert (await kubelet.registration()).endpoint == endpoint
        health = kubelet.health(endpoint)
        with contextlib.suppress(grpc.aio.AioRpcError):
            return await anext(health)


async def test_it_registers_again_with_every_kubelet_that_starts(kubelet: Kubelet, running: asyncio.Task[None]) -> None:
    first = await kubelet.registration()
    await kubelet.stop()
    await kubelet.start()
    assert await heard_again(kubelet, first.endpoint) == {"gpu-0": "Healthy", "gpu-1": "Healthy"}


async def test_it_waits_for_a_kubelet_that_is_not_there_yet(plugin: Any, folder: pathlib.Path) -> None:
    task = asyncio.create_task(device_plugin.run(plugin, folder))
    await asyncio.sleep(3 * device_plugin.POLL_SECONDS)
    kubelet = Kubelet(folder)
    await kubelet.start()
    assert (await kubelet.registration()).resource_name == "nvidia.com/gpu"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await kubelet.stop()


def test_a_socket_that_was_made_anew_is_another_one(tmp_path: pathlib.Path) -> None:
    socket = tmp_path / "kubelet.sock"
    assert device_plugin.identity(socket) is None
    socket.touch()
    first = device_plugin.identity(socket)
    assert device_plugin.identity(socket) == first
    socket.unlink()
    socket.touch()
    assert device_plugin.identity(socket) != first
