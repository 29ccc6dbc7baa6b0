"""The file of a classifier: the same network comes out of it as went in, of any size, and other files are refused."""

import json
import math

import numpy as np
import pytest
from safetensors.numpy import save

from minigen import nn
from minigen.models import ConvClassifier
from minigen.random import Generator
from minigen.training import load_classifier, read_state, save_classifier, save_state

SIZES = [
    {"size": (8, 8)},
    {"size": (13, 28), "channels": 3, "classes": 7, "widths": (4, 3, 2), "kernel_size": 5, "features": 9, "dropout": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES)
def test_a_loaded_classifier_is_the_saved_one(sizes, tmp_path):
    trained = ConvClassifier(**sizes, rng=Generator(5))
    x = Generator(6).uniform((4, *sizes["size"], sizes.get("channels", 1)))
    trained(x)  # moves the running statistics away from where they begin
    path = tmp_path / "feature-extractor-test.safetensors"
    save_classifier(path, trained)
    loaded = load_classifier(path)
    assert loaded.configuration == trained.configuration
    assert not any(module.training for module in loaded.named_modules().values())
    for name, array in trained.state().items():
        np.testing.assert_array_equal(loaded.state()[name], array)
    np.testing.assert_array_equal(loaded.features(x), trained.features(x))

    before = path.read_bytes()
    save_classifier(path, loaded)
    assert path.read_bytes() == before


def test_other_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="none"):
        load_classifier(tmp_path / "none.safetensors")
    save_state(tmp_path / "layer.safetensors", model=nn.Linear(2, 1, rng=Generator(0)))
    with pytest.raises(ValueError, match=r"load_classifier: .*layer\.safetensors holds no classifier: .*size"):
        load_classifier(tmp_path / "layer.safetensors")
    whole = tmp_path / "whole.safetensors"
    save_classifier(whole, ConvClassifier(size=(8, 8), rng=Generator(0)))
    (tmp_path / "half.safetensors").write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(ValueError, match="may be truncated"):
        load_classifier(tmp_path / "half.safetensors")


WRONG = (math.nan, -3, 0, 1.5, 10**400, True, None, "8", [], [0], ["8"], [8], [8, 8, 8], {})


@pytest.mark.parametrize("name", ["size", "channels", "classes", "widths", "kernel_size", "features", "dropout"])
def test_sizes_that_are_none_are_refused(tmp_path, name):
    path = tmp_path / "damaged.safetensors"
    save_classifier(path, ConvClassifier(size=(8, 8), widths=(2,), features=3, rng=Generator(0)))
    state = read_state(path)
    tensors = {name: value for name, value in state.items() if hasattr(value, "shape")}
    for wrong in WRONG:
        if wrong != 0 or name != "dropout" or isinstance(wrong, bool):
            values = {name: value for name, value in state.items() if name not in tensors} | {
                f"configuration.{name}": wrong
            }
            path.write_bytes(save(tensors, {"minigen": json.dumps({"format": 2, "values": values})}))
            with pytest.raises(ValueError, match=str(path)):
                load_classifier(path)
