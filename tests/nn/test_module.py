"""Module: what a walk over its attributes finds and in which order, modes, moves, copies, states, and the table of it."""

import copy
from collections import UserDict, UserList, deque
from types import MappingProxyType

import numpy as np
import pytest
from devices import on_host
from hypothesis import given
from hypothesis import strategies as st

import minigen as mg
from minigen import nn
from minigen.backend import to_device
from minigen.nn import Buffer, Module, Parameter
from minigen.optim import SGD
from minigen.random import Generator


def parameter(*values):
    return Parameter(np.array(values, np.float32))


class Leaf(Module):
    def __init__(self):
        self.weight = parameter(1.0, 2.0)
        self.running_mean = Buffer(np.zeros(2, np.float32))

    def forward(self, x):
        return x * self.weight


class Tree(Module):
    """Every place in which a part may stand, and things that are no parts."""

    def __init__(self):
        self.scale = parameter(3.0)
        self.branches = [Leaf(), {"a": parameter(4.0), "b": (Leaf(), "text", parameter(5.0))}]
        self.constant = mg.tensor([6.0])
        self.anything = {"number": 1.0, "nothing": None, "array": np.ones(2)}
        self.last = Leaf()


# ------------------------------------------------------------------------------------------------------- the walk


def test_parts_are_found_in_the_order_in_which_they_were_set():
    tree = Tree()
    assert list(tree.named_parameters()) == [
        "scale", "branches.0.weight", "branches.1.a", "branches.1.b.0.weight", "branches.1.b.2", "last.weight",
    ]  # fmt: skip
    assert list(tree.named_buffers()) == ["branches.0.running_mean", "branches.1.b.0.running_mean", "last.running_mean"]
    assert list(tree.named_modules()) == ["", "branches.0", "branches.1.b.0", "last"]
    assert tree.named_modules()[""] is tree
    assert [id(p) for p in tree.parameters()] == [id(p) for p in tree.named_parameters().values()]


structures = st.recursive(
    st.sampled_from(["parameter", "buffer", "neither"]),
    lambda inner: st.tuples(st.sampled_from([list, tuple, dict, Module]), st.lists(inner, max_size=3)),
    max_leaves=12,
)


@given(structure=structures)
def test_any_nesting_of_lists_tuples_dicts_and_modules_is_walked(structure):
    names = {"parameter": [], "buffer": [], Module: [""]}

    def build(part, name):
        if isinstance(part, str):
            names.setdefault(part, []).append(name)
            return {"parameter": parameter, "buffer": lambda: Buffer(np.zeros(0)), "neither": object}[part]()
        kind, children = part
        if kind is Module:
            names[Module].append(name)
        keys = [f"part{i}" if kind in (dict, Module) else str(i) for i in range(len(children))]
        built = [build(child, f"{name}.{key}") for key, child in zip(keys, children, strict=True)]
        if kind is not Module:
            return dict(zip(keys, built, strict=True)) if kind is dict else kind(built)
        module = Module()
        vars(module).update(zip(keys, built, strict=True))
        return module

    root = Module()
    root.root = build(structure, "root")
    assert list(root.named_parameters()) == names["parameter"]
    assert list(root.named_buffers()) == names["buffer"]
    assert list(root.named_modules()) == names[Module]


def test_a_shared_parameter_counts_once_under_its_first_name():
    encoder, decoder = Leaf(), Leaf()
    decoder.weight = encoder.weight
    both = nn.Sequential(encoder, decoder, encoder)
    assert list(both.named_parameters()) == ["layers.0.weight"]
    assert len(both.named_modules()) == 3
    assert repr(both) == "Sequential(2 parameters)"


def test_modules_that_hold_each_other_are_walked_once():
    parent, child = Leaf(), Leaf()
    parent.children, child.parent, child.myself = [child], parent, {"me": child}
    assert list(parent.named_parameters()) == ["weight", "children.0.weight"]
    assert list(child.named_parameters()) == ["weight", "parent.weight"]


def test_attributes_set_later_count():
    leaf = Leaf()
    leaf.bias = parameter(1.0)
    assert list(leaf.named_parameters()) == ["weight", "bias"]
    del leaf.weight
    assert list(leaf.named_parameters()) == ["bias"]


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(AttributeError, match=r"^Leaf has no attribute 'wieght'; did you mean weight\?$"):
        _ = Leaf().wieght
    with pytest.raises(AttributeError, match=r"did you mean named_parameters"):
        Leaf().named_parameter()
    with pytest.raises(AttributeError, match=r"^Leaf has no attribute 'zzzzzz'$"):
        _ = Leaf().zzzzzz
    assert not hasattr(Leaf(), "bias")


class Holder(Module):
    def __init__(self, **parts):
        vars(self).update(parts)


def objects(*parts):
    array = np.empty(len(parts), object)
    for i, part in enumerate(parts):
        array[i] = part
    return array


@pytest.mark.parametrize(
    ("parts", "name"),
    [
        ({"d": {0: Leaf(), "0": Leaf()}}, "d.0"),
        ({"d": {"a.b": Leaf(), "a": {"b": Leaf()}}}, "d.a.b"),
        ({"d": {"a.weight": parameter(1.0), "a": Leaf()}}, "d.a.weight"),
        ({"d": {True: parameter(1.0), "True": parameter(1.0)}}, "d.True"),
        ({"d": {1: parameter(1.0), "1": Buffer(np.zeros(1))}}, "d.1"),
        ({"d.0": Leaf(), "d": [Leaf()]}, "d.0"),
        ({"": Leaf()}, ""),
    ],
)
def test_parts_that_have_one_name_are_refused(parts, name):
    for ask in (Module.parameters, Module.named_modules, Module.state, Module.count_parameters, Module.train):
        with pytest.raises(ValueError, match=f"two parts of the module have the same name, {name!r}"):
            ask(Holder(**parts))


def test_one_part_under_names_that_would_be_equal_is_one_part():
    leaf = Leaf()
    assert list(Holder(d={0: leaf, "0": leaf}).named_parameters()) == ["d.0.weight"]


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({Leaf()}, "a set with a Leaf"),
        (frozenset([parameter(1.0)]), "a frozenset with a Parameter"),
        ({("a", Leaf())}, "a set with a Leaf"),
        (objects(Leaf(), Leaf()), "an array of objects with a Leaf"),
        (objects(parameter(1.0)).reshape(1, 1), "an array of objects with a Parameter"),
        (deque([Buffer(np.zeros(1))]), "a deque with a Buffer"),
        ({Leaf(): 1}, "a dict_keys with a Leaf"),
        ({"a": Leaf()}.values(), "a dict_values with a Leaf"),
        ({"a": Leaf()}.items(), "a dict_items with a Leaf"),
        (MappingProxyType({"a": Leaf()}), "a mappingproxy with a Leaf"),
        (UserList([Leaf()]), "a UserList with a Leaf"),
        (UserDict({"a": Leaf()}), "a UserDict with a Leaf"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_parts_where_they_would_not_be_found_are_refused(container, words):
    for attribute in (container, [container], {"a": (container,)}):
        with pytest.raises(
            TypeError, match=rf"Holder\.x\S* is {words} in it, which parameters\(\) would not find; keep"
        ):
            Holder(x=attribute).parameters()


def test_containers_without_parts_and_parts_that_are_also_elsewhere_are_left_alone():
    leaf = Leaf()
    holder = Holder(
        frozen={leaf}, leaf=leaf, numbers={1, 2}, names=deque("ab"), array=np.array([None, "x"]), keys={"a": 1}.keys()
    )
    assert list(holder.named_parameters()) == ["leaf.weight"]


def test_a_module_without_forward_says_so():
    with pytest.raises(NotImplementedError, match=r"Tree defines no forward\(\)"):
        Tree()(1.0)


# ------------------------------------------------------------------------------------------------- modes and places


def test_train_and_eval_reach_every_module():
    tree = Tree()
    assert all(module.training for module in tree.named_modules().values())
    assert tree.eval() is tree
    assert not any(module.training for module in tree.named_modules().values())
    assert tree.train() is tree
    assert all(module.training for module in tree.named_modules().values())
    assert Leaf().training  # the class is untouched


def test_to_is_refused_while_an_optimizer_holds_a_parameter():
    tree = Tree()
    assert tree.to("cpu") is tree
    optimizer = SGD({"b": tree.branches[0].weight}, learning_rate=0.1)
    with pytest.raises(
        RuntimeError, match=r"to\('cpu'\): an optimizer holds 'branches.0.weight'; move the model first"
    ):
        tree.to("cpu")
    del optimizer
    tree.to("cpu")


def test_to_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="device 'tpu' is unknown"):
        Leaf().to("tpu")


# ------------------------------------------------------------------------------------------------------------ copies


def assert_independent(original, duplicate):
    before = {name: array.copy() for name, array in original.state().items()}
    assert list(duplicate.state()) == list(before)
    for array in duplicate.state().values():
        array += 1
    for name, array in original.state().items():
        np.testing.assert_array_equal(array, before[name])
        np.testing.assert_array_equal(duplicate.state()[name], before[name] + 1)


def test_deepcopy_gives_independent_parameters():
    tree = Tree()
    assert_independent(tree, copy.deepcopy(tree))


def test_deepcopy_keeps_shared_parameters_shared():
    leaf = Leaf()
    both = copy.deepcopy(nn.Sequential(leaf, leaf))
    assert both[0] is both[1]
    assert both[0] is not leaf


def test_a_deepcopy_of_an_owned_module_is_free():
    leaf = Leaf()
    optimizer = SGD(leaf, learning_rate=0.5)
    mg.sum(leaf(np.ones(2, np.float32))).backward()
    duplicate = copy.deepcopy(leaf)
    assert_independent(leaf, duplicate)
    duplicate.to("cpu")
    own = SGD(duplicate, learning_rate=0.5)
    mg.sum(duplicate(np.ones(2, np.float32))).backward()
    own.step()
    np.testing.assert_array_equal(duplicate.weight.data, [1.5, 2.5])  # [1, 2] + 1 - 0.5
    optimizer.step()
    np.testing.assert_array_equal(leaf.weight.data, [0.5, 1.5])


# ------------------------------------------------------------------------------------------------------------- state


def test_state_holds_the_arrays_of_parameters_and_buffers():
    tree = Tree()
    state = tree.state()
    assert set(state) == {*tree.named_parameters(), *tree.named_buffers()}
    assert state["scale"] is tree.scale.data


def test_load_state_copies_in_place_and_raises_versions():
    source, tree = Tree(), Tree()
    for array in source.state().values():
        array += 7
    optimizer = SGD(tree, learning_rate=0.1)
    arrays = tree.state()
    tree.load_state(source.state())
    for name, array in tree.state().items():
        assert np.shares_memory(array, arrays[name])
        np.testing.assert_array_equal(array, source.state()[name])
        assert not np.shares_memory(array, source.state()[name])
    assert tree.scale.version == tree.last.running_mean.version == 1
    np.testing.assert_array_equal(optimizer.arena.views(optimizer.arena.values)["scale"], [10.0])


def test_a_state_moves_between_devices_with_the_module_and_without(device):
    tree, there = Tree(), Tree().to(device)
    assert {part.device for part in (*there.parameters(), *there.named_buffers().values())} == {device}
    for array in tree.state().values():
        array += 7
    there.load_state(tree.state())  # from the CPU
    back = Tree()
    back.load_state(there.state())  # to the CPU
    for name, array in tree.state().items():
        np.testing.assert_array_equal(on_host(there.state()[name]), array)
        np.testing.assert_array_equal(back.state()[name], array)
    moved = copy.deepcopy(there).to("cpu")
    np.testing.assert_array_equal(moved.scale.data, [10.0])
    assert (moved.scale.device, there.scale.device) == ("cpu", device)


def test_load_state_lists_all_differences_and_changes_nothing():
    tree = Tree()
    before = {name: array.copy() for name, array in tree.state().items()}
    state = {name: array + 1 for name, array in before.items()}
    del state["scale"], state["last.running_mean"]
    state["extra.weight"] = np.zeros(3, np.float32)
    state["branches.0.weight"] = np.zeros((2, 1), np.float32)
    state["last.weight"] = np.zeros(2)
    with pytest.raises(ValueError, match=r"^Tree: the state does not fit \(5 differences\): ") as raised:
        tree.load_state(state)
    for difference in (
        "missing scale",
        "missing last.running_mean",
        "unexpected extra.weight",
        "branches.0.weight is (2, 1) float32, expected (2,) float32",
        "last.weight is (2,) float64, expected (2,) float32",
    ):
        assert difference in str(raised.value)
    for name, array in tree.state().items():
        np.testing.assert_array_equal(array, before[name])
    assert all(p.version == 0 for p in tree.parameters())


def test_load_state_refuses_what_is_no_array():
    leaf = Leaf()
    with pytest.raises(ValueError, match="weight"):
        leaf.load_state({**leaf.state(), "weight": [1.0, 2.0]})


# ----------------------------------------------------------------------------------------------------------- summary


def rows(module, *inputs):
    """Return the table's cells, without the heading."""
    lines = nn.summary(module, *inputs).splitlines()
    assert len({len(line) for line in lines}) == 1, "the columns are not aligned"
    heading, *body = [line.split() for line in lines]
    assert heading == ["layer", "kind", "output", "parameters"]
    return [[line[0], *line[1:-1], int(line[-1].replace(",", ""))] for line in body]


X = np.zeros((5, 2), np.float32)


def test_summary_of_nested_modules():
    rng = Generator(0)
    inner = nn.Sequential(nn.Linear(2, 3, rng=rng), nn.Tanh())
    net = nn.Sequential(inner, nn.Linear(3, 1000, rng=rng, bias=False))
    assert rows(net, X) == [
        ["layers.0.layers.0", "Linear", "(5,", "3)", 9],
        ["layers.0.layers.1", "Tanh", "(5,", "3)", 0],
        ["layers.0", "Sequential", "(5,", "3)", 0],
        ["layers.1", "Linear", "(5,", "1000)", 3000],
        ["(whole)", "Sequential", "(5,", "1000)", 0],
        ["total", 3009],
    ]


def test_summary_of_several_outputs():
    lines = nn.summary(nn.LSTM(2, 3, rng=Generator(0)), np.zeros((4, 5, 2), "float32")).splitlines()
    assert "(4, 5, 3), (1, 4, 3), (1, 4, 3)" in lines[1]


def test_evaluating_gives_each_part_its_own_mode_back_even_after_an_error():
    net = nn.Sequential(nn.Linear(2, 2, rng=Generator(0)), nn.Sequential(nn.ReLU()))
    net[1].eval()
    parts = list(net.named_modules().values())
    before = [part.training for part in parts]
    assert len(set(before)) == 2

    @nn.evaluating(net)
    def fails():
        assert not any(part.training for part in parts)
        raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert [part.training for part in parts] == before


def test_summary_leaves_the_model_as_it_was():
    rng = Generator(0)
    norm, dropout = nn.BatchNorm(2), nn.Dropout(p=0.5, rng=rng)
    net = nn.Sequential(norm, dropout, nn.Linear(2, 1, rng=Generator(1)).eval())
    before = rng.state()
    nn.summary(net, np.ones((1, 2), "float32"))
    assert rng.state() == before
    np.testing.assert_array_equal(norm.running_mean.data, 0.0)
    assert [part.training for part in (net, norm, dropout, net[2])] == [True, True, True, False]


def test_summary_counts_a_shared_module_once_in_the_total():
    layer = nn.Linear(2, 2, rng=Generator(0))
    table = rows(nn.Sequential(layer, layer), X)
    assert [row[0] for row in table] == ["layers.0", "layers.0", "(whole)", "total"]
    assert table[-1] == ["total", 6]


def test_summary_counts_parameters_in_lists_and_dicts_as_their_modules_own():
    class Table(Module):
        def __init__(self):
            self.weights = [parameter(1.0, 2.0), {"a": parameter(3.0)}]
            self.inside = Leaf()

        def forward(self, x):
            return self.inside(x)

    table = rows(Table(), X)
    assert [row[-1] for row in table] == [2, 3, 5]  # the leaf's, the table's own, all


def test_summary_on_a_device(device):
    net = nn.Sequential(nn.Linear(2, 3, rng=Generator(0, device=device)), nn.Tanh())
    assert rows(net, to_device(X, device)) == rows(nn.Sequential(nn.Linear(2, 3, rng=Generator(0)), nn.Tanh()), X)


def test_summary_leaves_nothing_behind():
    class Fails(Module):
        def forward(self, x):
            raise ArithmeticError

    net = nn.Sequential(Leaf(), Fails())
    with pytest.raises(ArithmeticError):
        nn.summary(net, X)
    leaf = Leaf()
    nn.summary(leaf, X)
    assert leaf.weight.grad is None
    assert leaf(X).requires_grad  # recording is on again
    assert len(rows(leaf, X)) == 2  # nothing called before is listed


def test_a_moved_parameter_forgets_the_place_that_a_former_optimizer_gave_its_gradient():
    layer = nn.Linear(2, 1, rng=Generator(0))
    optimizer = mg.optim.SGD(layer, learning_rate=0.1)
    place = optimizer.arena.gradients
    del optimizer
    layer.to("cpu")
    mg.sum(layer(mg.ones((3, 2)))).backward()
    assert layer.weight.grad is not None
    assert not place.any()
