"""The project's ``onnxruntime`` backend in the real Triton server: what it answers, and how it refuses."""

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tritonclient.http as triton_http
from google.protobuf import text_format
from prometheus_client.parser import text_string_to_metric_families
from tritonclient.grpc import model_config_pb2 as config
from tritonclient.utils import InferenceServerException

import train
from kit import client, digits, triton
from kit.errors import UsageError

# The first start fetches the server, which may take longer than a test is given.
pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

VARIANTS = ("fp32", "int8")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    assert train.main(["--output", str(folder), "--epochs", "10"]) == 0
    return folder


@pytest.fixture(scope="module")
def held_out(repository: Path) -> digits.Digits:
    return digits.held_out(repository / "digits" / "held_out.npz")


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(repository: Path, variant: str) -> Iterator[triton.Server]:
    with triton.serving(repository, variant=variant) as running:
        yield running


async def ask_all(server: triton.Server, protocol: str, held_out: digits.Digits, sizes: list[int]) -> list[int]:
    """All images at once, in requests of these sizes in turn, as many at a time as the server takes."""
    target = client.Target(http=server.http, grpc=server.grpc, timeout=30)
    ends = list(
        itertools.takewhile(lambda end: end <= len(held_out.images), itertools.accumulate(itertools.cycle(sizes)))
    )
    parts = np.split(held_out.images, ends)
    async with client.askers(target, protocol)[0] as asker:
        answers = await asyncio.gather(*(asker.ask(part) for part in parts if len(part)))
    return list(itertools.chain.from_iterable(answers))


def metrics(server: triton.Server, **labels: str) -> dict[str, float]:
    """The sums of Triton's inference metrics over the series with these labels."""
    status, text = server.get(server.metrics, "/metrics")
    assert status == 200
    samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    chosen = [each for each in samples if labels.items() <= each.labels.items()]
    return {name: sum(each.value for each in chosen if each.name == name) for name in {each.name for each in chosen}}


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("sizes", [[1], [32], [1, 7, 3, 32, 2]], ids=["one by one", "full", "mixed"])
async def test_every_request_gets_its_own_answers(
    server: triton.Server, variant: str, held_out: digits.Digits, protocol: str, sizes: list[int]
) -> None:
    assert await ask_all(server, protocol, held_out, sizes) == held_out.answers[variant].tolist()


async def test_requests_are_run_in_batches_and_counted_under_the_variants_name(
    server: triton.Server, variant: str, held_out: digits.Digits
) -> None:
    before = metrics(server, model="digits", _variant=variant)
    await ask_all(server, "grpc", held_out, [1])
    after = metrics(server, model="digits", _variant=variant)
    grown = {name: after[name] - before[name] for name in after}
    assert grown["nv_inference_request_success_total"] == len(held_out.images)
    assert 0 < grown["nv_inference_exec_count_total"] < len(held_out.images)
    assert grown["nv_inference_compute_infer_duration_us_total"] > 0


def test_the_models_ready_path_is_that_of_the_model(server: triton.Server) -> None:
    assert server.get(server.http, "/v2/models/digits/ready")[0] == 200
    assert server.get(server.http, "/v2/models/digits/versions/1/ready")[0] == 200
    assert server.get(server.http, "/v2/models/digit/ready")[0] == 400


@dataclass(frozen=True, slots=True)
class BadRequest:
    name: str
    shape: tuple[int, ...]
    kind: type[np.generic]
    want_message: str


BAD_REQUESTS = {
    "too many images": BadRequest("image", (33, 64), np.float32, "batch-size must be <= 32"),
    "half an image": BadRequest("image", (1, 32), np.float32, r"unexpected shape for input 'image'"),
    "numbers of another type": BadRequest("image", (1, 64), np.int32, "inference input 'image' data-type is 'INT32'"),
    "another input": BadRequest("picture", (1, 64), np.float32, "picture"),
}


@pytest.mark.parametrize("case", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_bad_request_is_refused_and_the_next_one_served(
    server: triton.Server, variant: str, held_out: digits.Digits, case: BadRequest
) -> None:
    with triton_http.InferenceServerClient(server.http) as asked:
        with pytest.raises(InferenceServerException, match=case.want_message):
            asked.infer("digits", [tensor(case.name, np.ones(case.shape, dtype=case.kind))])
        good = asked.infer("digits", [tensor("image", held_out.images[:3])])
        assert good.as_numpy("probabilities").argmax(axis=1).tolist() == held_out.answers[variant][:3].tolist()


def tensor(name: str, values: np.ndarray[Any, Any]) -> triton_http.InferInput:
    kinds = {np.dtype(np.float32): "FP32", np.dtype(np.int32): "INT32", np.dtype(np.int64): "INT64"}
    made = triton_http.InferInput(name, list(values.shape), kinds[values.dtype])
    made.set_data_from_numpy(values)
    return made


def lookup_model() -> onnx.ModelProto:
    """row [batch, 1] in; square [batch, 1] and double [batch, 1] out; a row beyond 9 fails in ONNX Runtime."""
    make, kind = onnx.helper.make_tensor_value_info, onnx.TensorProto
    tables = {"squares": np.arange(10, dtype=np.float32) ** 2, "doubles": np.arange(10, dtype=np.float32) * 2}
    nodes = [
        onnx.helper.make_node("Gather", ["squares", "row"], ["square"]),
        onnx.helper.make_node("Gather", ["doubles", "row"], ["double"]),
    ]
    constants = [onnx.numpy_helper.from_array(values, name) for name, values in tables.items()]
    outputs = [make(name, kind.FLOAT, ["batch", 1]) for name in ("square", "double")]
    graph = onnx.helper.make_graph(nodes, "lookup", [make("row", kind.INT64, ["batch", 1])], outputs, constants)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def lookup_config(name: str = "lookup") -> config.ModelConfig:
    return config.ModelConfig(
        name=name,
        backend="onnxruntime",
        max_batch_size=8,
        input=[config.ModelInput(name="row", data_type=config.TYPE_INT64, dims=[1])],
        output=[config.ModelOutput(name=name, data_type=config.TYPE_FP32, dims=[1]) for name in ("square", "double")],
        # waits for company, so that the requests of a test meet in one batch
        dynamic_batching=config.ModelDynamicBatching(max_queue_delay_microseconds=300_000),
    )


def write_model(repository: Path, settings: config.ModelConfig, model: bytes | None) -> None:
    folder = repository / settings.name
    (folder / "1").mkdir(parents=True)
    (folder / "config.pbtxt").write_text(text_format.MessageToString(settings))
    if model is not None:
        (folder / "1" / "model.onnx").write_bytes(model)


@pytest.fixture(scope="module")
def lookup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[triton.Server]:
    folder = tmp_path_factory.mktemp("lookup")
    write_model(folder, lookup_config(), lookup_model().SerializeToString())
    with triton.serving(folder, wait_for="lookup") as running:
        yield running


def test_a_request_that_fails_does_not_spoil_its_batch(lookup: triton.Server) -> None:
    rows = [3, 99, 7, 5]
    before = metrics(lookup, model="lookup")
    with triton_http.InferenceServerClient(lookup.http, concurrency=len(rows)) as asked:
        sent = [asked.async_infer("lookup", [tensor("row", np.array([[row]], dtype=np.int64))]) for row in rows]
        answers = [outcome(each.get_result) for each in sent]
    assert [answers[0], answers[2], answers[3]] == [9.0, 49.0, 25.0]
    assert str(answers[1]).startswith("inference failed: ")
    assert "idx=99" in str(answers[1])
    after = metrics(lookup, model="lookup")
    assert after["nv_inference_exec_count_total"] - before["nv_inference_exec_count_total"] < len(rows)


def outcome(get: Callable[[], Any]) -> float | str:
    try:
        return float(get().as_numpy("square")[0, 0])
    except InferenceServerException as error:
        return str(error.message())


def test_only_the_outputs_that_were_asked_for_are_sent(lookup: triton.Server) -> None:
    with triton_http.InferenceServerClient(lookup.http) as asked:
        wanted = [triton_http.InferRequestedOutput("double")]
        answer = asked.infer("lookup", [tensor("row", np.array([[4], [5]], dtype=np.int64))], outputs=wanted)
    assert answer.as_numpy("double").tolist() == [[8.0], [10.0]]
    assert answer.as_numpy("square") is None


@dataclass(frozen=True, slots=True)
class BadModel:
    want_reason: str
    change: Callable[[config.ModelConfig], Any] = lambda settings: None
    model: Callable[[], bytes | None] = lambda: lookup_model().SerializeToString()


BAD_MODELS = {
    "a file that is no model": BadModel(
        "1/model.onnx is not a model that ONNX Runtime can open", model=lambda: b"not a model"
    ),
    "a file cut short": BadModel(
        "1/model.onnx is not a model that ONNX Runtime can open", model=lambda: lookup_model().SerializeToString()[:100]
    ),
    "no file": BadModel("1/model.onnx does not exist: put the model there", model=lambda: None),
    "a file name that is not there": BadModel(
        "1/other.onnx does not exist: put the model there",
        lambda settings: setattr(settings, "default_model_filename", "other.onnx"),
    ),
    "an input of another name": BadModel(
        "its configuration says {'column': 'tensor(int64)'}",
        lambda settings: setattr(settings.input[0], "name", "column"),
    ),
    "an output of another type": BadModel(
        "its configuration says {'square': 'tensor(double)', 'double': 'tensor(float)'}",
        lambda settings: setattr(settings.output[0], "data_type", config.TYPE_FP64),
    ),
    "threads in words": BadModel(
        "parameter intra_op_thread_count is 'two': give a whole number, 0 or more",
        lambda settings: settings.parameters["intra_op_thread_count"].MergeFrom(
            config.ModelParameter(string_value="two")
        ),
    ),
}


def test_a_model_that_cannot_be_served_is_not_ready_and_says_why(tmp_path: Path) -> None:
    """One server with every bad model and a good one: starting it costs more than a case does."""
    names = {f"bad{number}": what for number, what in enumerate(BAD_MODELS)}
    write_model(tmp_path, lookup_config(), lookup_model().SerializeToString())
    for name, what in names.items():
        settings = lookup_config(name)
        BAD_MODELS[what].change(settings)
        write_model(tmp_path, settings, BAD_MODELS[what].model())
    with triton.serving(tmp_path, wait_for="lookup", arguments=["--exit-on-error=false"]) as running:
        with triton_http.InferenceServerClient(running.http) as asked:
            reasons = {each["name"]: each.get("reason", "") for each in asked.get_model_repository_index()}
        ready = [name for name in names if running.ready(name)]
        log = running.log.read_text()
    got = {what: BAD_MODELS[what].want_reason in reasons[name] for name, what in names.items()}
    assert got == dict.fromkeys(BAD_MODELS, True), json.dumps(reasons, indent=2)
    assert ready == []
    assert "Segmentation fault" not in log
    assert reasons["lookup"] == ""


def test_a_server_whose_only_model_is_bad_ends_with_the_reason(tmp_path: Path) -> None:
    write_model(tmp_path, lookup_config(), b"not a model")
    with (
        pytest.raises(UsageError, match=r"(?s)Triton ended with status 1.*failed to load all models"),
        triton.serving(tmp_path, wait_for="lookup"),
    ):
        pass
