"""The sample model, trained for real into a temporary folder (a few seconds, once)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2 as triton

import configuration
import network
import train
from kit import digits

EPOCHS = "15"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    assert train.main(["--output", str(folder), "--epochs", EPOCHS]) == 0
    return folder


@pytest.fixture
def record(repository: Path) -> Any:
    return json.loads((repository / "digits" / "accuracy.json").read_text())


def test_both_variants_read_held_out_digits(record: Any) -> None:
    for variant in ("fp32", "int8"):
        found = record["variants"][variant]
        low, high = found["interval95"]
        assert low > 0.93
        assert low < found["accuracy"] < high


def test_int8_changes_few_answers_and_saves_most_of_the_file(record: Any) -> None:
    sizes = {variant: found["bytes"] for variant, found in record["variants"].items()}
    assert record["readDifferently"] <= 0.02 * record["heldOutImages"]
    assert sizes["int8"] < 0.3 * sizes["fp32"]


def test_int8_computes_in_int8(repository: Path) -> None:
    model = onnx.load(repository / "digits" / "1" / "model_int8.onnx")
    weights = {each.name: each for each in model.graph.initializer if each.name.endswith("_quantized")}
    kinds = {name: each.data_type for name, each in weights.items() if name.startswith("weights")}
    assert set(kinds.values()) == {onnx.TensorProto.INT8}
    assert len(kinds) == len(network.HIDDEN) + 1
    scales = {each.name: each for each in model.graph.initializer if each.name.endswith("_scale")}
    assert list(scales["weights1_scale"].dims) == [network.HIDDEN[0]]  # one per channel


@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_old_servers_can_read_the_files(repository: Path, variant: str) -> None:
    model = onnx.load(repository / "digits" / "1" / f"model_{variant}.onnx")
    assert model.ir_version == network.IR_VERSION
    assert {each.version for each in model.opset_import if not each.domain} == {network.OPSET}
    shapes = {each.name: each.type.tensor_type.shape.dim for each in [*model.graph.input, *model.graph.output]}
    assert {name: (dims[0].dim_param, dims[1].dim_value) for name, dims in shapes.items()} == {
        "image": ("batch", 64),
        "probabilities": ("batch", 10),
    }


@dataclass(frozen=True, slots=True)
class Config:
    path: str
    want_file: str
    want_kind: int


CONFIGS = {
    "no variant asked for": Config("config.pbtxt", "model_fp32.onnx", triton.ModelInstanceGroup.KIND_AUTO),
    "fp32": Config("configs/fp32.pbtxt", "model_fp32.onnx", triton.ModelInstanceGroup.KIND_AUTO),
    "int8": Config("configs/int8.pbtxt", "model_int8.onnx", triton.ModelInstanceGroup.KIND_CPU),
}


@pytest.mark.parametrize("case", CONFIGS.values(), ids=CONFIGS.keys())
def test_each_configuration_names_a_file_that_is_there(case: Config, repository: Path) -> None:
    config = text_format.Parse((repository / "digits" / case.path).read_text(), triton.ModelConfig())
    assert (config.backend, config.default_model_filename) == ("onnxruntime", case.want_file)
    assert config.instance_group[0].kind == case.want_kind
    assert (repository / "digits" / "1" / case.want_file).is_file()
    assert config.model_warmup[-1].batch_size == config.max_batch_size


def test_the_load_generators_questions_are_the_trainers_held_out_images(repository: Path) -> None:
    given, data = digits.held_out(repository / "digits" / "held_out.npz"), network.data()
    np.testing.assert_array_equal(given.images, data.held_out_images)
    np.testing.assert_array_equal(given.labels, data.held_out_labels)
    trained_on = {image.tobytes() for image in data.images}
    assert sum(image.tobytes() in trained_on for image in given.images) == 0
    answers = network.answers(repository / "digits" / "1" / "model_int8.onnx", given.images)
    np.testing.assert_array_equal(given.answers["int8"], answers)


def test_a_second_build_changes_nothing(repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train.main(["--output", str(repository), "--epochs", EPOCHS])
    assert capsys.readouterr().out == f"{repository / 'digits'} is up to date\n"
    train.main(["--output", str(tmp_path), "--epochs", EPOCHS])
    names = [path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()]
    assert len(names) == 7
    assert all((repository / name).read_bytes() == (tmp_path / name).read_bytes() for name in names)


def test_a_half_built_repository_is_not_up_to_date(tmp_path: Path) -> None:
    assert train.recorded_digest(tmp_path) is None
    (tmp_path / "accuracy.json").write_text("{")
    assert train.recorded_digest(tmp_path) is None
    assert train.built_from(seed=1, epochs=2) != train.built_from(seed=2, epochs=2)


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert train.main(["--output", str(tmp_path / "file")]) == 1
    assert "name a folder that can be written" in capsys.readouterr().err


@pytest.mark.parametrize("epochs", ["0", "-1", "many"])
def test_epochs_that_are_none_are_refused(epochs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main([f"--epochs={epochs}"])
    assert "--epochs" in capsys.readouterr().err.splitlines()[-1]


def test_the_interval_is_wilsons() -> None:
    # the textbook's example: 95 of 100
    assert network.wilson(95, 100) == pytest.approx((0.8882, 0.9785), abs=1e-4)
    assert network.wilson(100, 100)[1] == pytest.approx(1.0)


def test_variants_are_those_that_are_configured() -> None:
    assert set(configuration.KINDS) == {"fp32", "int8"}
