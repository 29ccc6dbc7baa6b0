"""State that travels: whatever has state can be copied and pickled; a copy gives the same results and shares nothing with the original."""

import copy
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys

import numpy as np
import pytest

import minigen
import minigen as mg
from minigen import models, nn
from minigen.data import BinaryBatches, DequantizedBatches, Images, TextStreams, density_batches, target
from minigen.data.batches import Batches
from minigen.distributions import Bernoulli, Categorical, Laplace, Normal
from minigen.engine import Primitive
from minigen.lessons.snapshots import Snapshots
from minigen.optim import EMA, SGD, Adam, AdamW, RMSProp, constant, cosine, linear_warmup, step_decay
from minigen.random import Generator
from minigen.training import History, Run

F = np.float32
SIZE = (4, 4, 1)
IMAGES = np.linspace(0, 1, 6 * 16, dtype=F).reshape(6, *SIZE)
TEXT = np.arange(60) % 7

WAYS = {
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": (lambda x, n=n: pickle.loads(pickle.dumps(x, protocol=n))) for n in (2, pickle.HIGHEST_PROTOCOL)},
}
ways = pytest.mark.parametrize("travel", WAYS.values(), ids=WAYS)


def generator():
    return Generator(5)


def drawn():
    return np.full((2, 8, 8, 1), 0.5, F)


# ------------------------------------------------------------------------------------------------------- the catalogue


def conditional():
    return models.BernoulliConditional()


LAYERS = {
    "activations": lambda rng: nn.Sequential(
        nn.ELU(), nn.GELU(), nn.LeakyReLU(), nn.ReLU(), nn.SiLU(), nn.Sigmoid(), nn.Softmax(), nn.Softplus(), nn.Tanh()
    ),
    "shapes": lambda rng: nn.Sequential(
        nn.Flatten(), nn.Reshape(4, 4, 1), nn.Upsample2d(2), nn.AvgPool2d(2), nn.MaxPool2d(2), nn.GradientReversal(),
        nn.MinibatchStdDev(), nn.PixelNorm(), nn.PixelShuffle(2),
    ),
    "convolutions": lambda rng: nn.Sequential(
        nn.Conv2d(1, 2, kernel_size=3, rng=rng), nn.ConvTranspose2d(2, 2, kernel_size=3, rng=rng),
        nn.MaskedConv2d(2, 2, kernel_size=3, kind="A", rng=rng), nn.Conv1d(2, 2, kernel_size=3, rng=rng),
        nn.ConvTranspose1d(2, 2, kernel_size=3, rng=rng),
    ),
    "norms": lambda rng: nn.Sequential(
        nn.BatchNorm(2), nn.ConditionalBatchNorm(2, 3), nn.GroupNorm(1, 2), nn.InstanceNorm(2, affine=True), nn.LayerNorm(2),
        nn.AdaptiveGroupNorm(1, 2, 3, rng=rng),
    ),
    "wrapped": lambda rng: nn.Sequential(
        nn.SpectralNorm(nn.Linear(2, 3, rng=rng), rng=rng), nn.WeightNorm(nn.Linear(3, 3, rng=rng)),
        nn.EqualizedLearningRate(nn.Linear(3, 2, rng=rng)), nn.Reparametrized(nn.Linear(2, 2, rng=rng)),
    ),
    "dropout": lambda rng: nn.Sequential(nn.Linear(2, 3, rng=rng), nn.Dropout(p=0.5, rng=rng), nn.Dropout(p=0.1, rng=rng)),
    "recurrent": lambda rng: nn.Sequential(
        nn.RNN(2, 3, rng=rng), nn.GRU(3, 3, rng=rng), nn.LSTM(3, 3, rng=rng, layers=2, dropout=0.5)
    ),
    "embeddings": lambda rng: nn.Sequential(
        nn.Embedding(3, 4, rng=rng), nn.FourierFeatures(2, 4, scale=1.0, rng=rng), nn.LearnedPositions(3, 4, rng=rng),
        nn.SinusoidalEmbedding(4),
    ),
    "attention": lambda rng: nn.Sequential(
        nn.MultiHeadAttention(4, heads=2, rng=rng), nn.SelfAttention2d(4, heads=2, rng=rng, groups=1),
        nn.TransformerBlock(4, heads=2, rng=rng, dropout=0.5),
    ),
    "blocks": lambda rng: nn.Sequential(
        nn.ResidualBlock(2, 4, rng=rng, groups=1, embedding_features=3), nn.MaskedLinear(np.ones((2, 2), bool), rng=rng)
    ),
}  # fmt: skip


MODELS = {
    "autoencoder": lambda rng: models.mlp_autoencoder(size=SIZE, hidden=(5,), code=2, tied=True, rng=rng),
    "cvae": lambda rng: models.mlp_cvae(size=SIZE, condition=2, hidden=(5,), latent=2, rng=rng),
    "dcgan": lambda rng: models.dcgan(size=(8, 8, 1), latent=2, width=2, classes=3, loss="hinge", pool=4, rng=rng),
    "gan": lambda rng: models.mlp_gan(features=2, latent=2, width=3, pack=2, rng=rng),
    "gated_pixelcnn": lambda rng: models.GatedPixelCNN(
        SIZE, models.CategoricalConditional(3), features=4, layers=2, classes=2, rng=rng
    ),
    "gaussian": lambda rng: models.Gaussian(3),
    "belief_net": lambda rng: models.BeliefNet((2, 2)),
    "classifier": lambda rng: models.ConvClassifier(size=(4, 4), widths=(2, 2), features=3, rng=rng),
    "independent": lambda rng: models.mlp_independent_pixels(size=SIZE, condition=2, hidden=(3,), rng=rng),
    "likelihoods": lambda rng: nn.Sequential(
        *map(models.pixel_likelihood, ("bernoulli", "gaussian", "gaussian-learned", "gaussian-pixel"))
    ),
    "made": lambda rng: models.MADE((4,), hidden=(5,), rng=rng),
    "mixture": lambda rng: models.ordering_mixture((4,), orderings=2, hidden=(5,), rng=rng),
    "nade": lambda rng: models.NADE((4,), hidden=3, rng=rng),
    "ngram": lambda rng: models.NGram(TEXT, characters=7, n=2),
    "pixelcnn": lambda rng: models.PixelCNN(
        SIZE, models.LogisticMixtureConditional(4, components=2), features=4, blocks=1, rng=rng
    ),
    "pixelrnn": lambda rng: models.Together(
        row=models.PixelRNN(SIZE, conditional(), kind="row", features=2, layers=1, rng=rng),
        diagonal=models.PixelRNN(SIZE, conditional(), kind="diagonal", features=2, layers=1, rng=rng),
    ),
    "recurrent": lambda rng: models.TruncatedBackpropagation(
        models.RecurrentLanguageModel(7, features=3, length=5, dropout=0.5, rng=rng), streams=2
    ),
    "segmenter": lambda rng: models.Segmenter(size=(8, 8), widths=(2, 2, 2), rng=rng),
    "transformer": lambda rng: models.TransformerLanguageModel(7, window=4, features=4, heads=2, blocks=1, rng=rng),
    "tempered": lambda rng: models.RecurrentLanguageModel(7, features=3, rng=rng).tempered(temperature=0.5),
    "vae": lambda rng: models.mlp_vae(size=SIZE, hidden=(5,), latent=2, rng=rng),
}  # fmt: skip

BATCHES = {
    "batches": lambda rng: Batches((IMAGES, np.arange(6)), batch_size=2, rng=rng),
    "binary": lambda rng: BinaryBatches(IMAGES, protocol="dynamic", batch_size=2, rng=rng),
    "dequantized": lambda rng: DequantizedBatches(
        Images("ramp", (IMAGES * 255).astype(np.uint8), np.zeros(6, np.int64), ("ramp",), 256), batch_size=2, rng=rng
    ),
    "text": lambda rng: TextStreams(TEXT, streams=2, length=3, rng=rng),
    **{
        f"density {name}": lambda rng, name=name: density_batches(target(name), batch_size=3, rng=rng)
        for name in ("mixture", "gaussian", "uniform", "laplace")
    },
}

RATES = {
    "number": 0.1,
    "constant": constant(0.1),
    "cosine": cosine(0.1, steps=20),
    "warmup": linear_warmup(cosine(0.1, steps=20), steps=3),
    "decay": step_decay(0.1, every=3),
}
OPTIMIZERS = {
    "sgd": lambda net: SGD(net, learning_rate=RATES["warmup"]),
    "momentum": lambda net: SGD(net, learning_rate=RATES["cosine"], momentum=0.9, nesterov=True),
    "rmsprop": lambda net: RMSProp(net, learning_rate=RATES["decay"]),
    "adam": lambda net: Adam(net, learning_rate=RATES["constant"]),
    "adamw": lambda net: AdamW(net, learning_rate=RATES["number"]),
}

OTHERS = {
    "history": lambda: History(),
    "run": lambda: Run(steps=3, progress=False, parts={"rng": generator()}),
    "snapshots": lambda: Snapshots(drawn, (2, 8, 8, 1)),
}


def flat(state):
    return {name: np.asarray(value).tolist() for name, value in state.items()}


def test_the_catalogue_has_every_class_that_has_a_state():
    expected = set()
    for found in pkgutil.walk_packages(minigen.__path__, "minigen."):
        if "cuda" in found.name or "__main__" in found.name:
            continue
        for kind in vars(importlib.import_module(found.name)).values():
            if inspect.isclass(kind) and kind.__module__ == found.name and hasattr(kind, "load_state"):
                expected.add(kind)
    rng = generator()
    modules = [part for make in (*LAYERS.values(), *MODELS.values()) for part in make(rng).named_modules().values()]
    net = nn.Linear(1, 1, rng=rng)
    others = [rng, EMA(SGD(net, learning_rate=1.0)), *(make(nn.Linear(1, 1, rng=rng)) for make in OPTIMIZERS.values())]
    things = [*modules, *others, *(make(rng) for make in BATCHES.values()), *(make() for make in OTHERS.values())]
    # Abstract classes count through their subclasses.
    bases = {base for thing in things for base in type(thing).__mro__}
    left_out = {"HasState", "_Sizes", "Draws"}  # a protocol, and what lives for the time of a save or of a picture
    assert {kind.__qualname__ for kind in expected - bases} == left_out


# ------------------------------------------------------------------------------------------------ generators and batches


@ways
def test_a_generator_goes_on_from_the_same_place_on_its_own(travel, device):
    rng = Generator(3, device=device)
    rng.normal(10)
    other = travel(rng)
    assert (other.state(), other.device) == (rng.state(), device)
    first = rng.normal(5)
    assert bool((other.normal(5) == first).all())
    other.normal(5)
    assert other.state() != rng.state()


@ways
@pytest.mark.parametrize("batches", BATCHES)
def test_batches_go_on_with_the_same_ones(batches, travel):
    rng = generator()
    ours = BATCHES[batches](rng)
    for _ in range(4):
        next(ours)
    other, its_rng = travel((ours, rng))
    for _ in range(5):
        batch, same = next(ours), next(other)
        for a, b in zip(batch, same, strict=True) if isinstance(batch, tuple) else [(batch, same)]:
            np.testing.assert_array_equal(a, b)
    assert its_rng.state() == rng.state()  # the copy's batches draw from the copied generator
    next(other)
    if hasattr(ours, "state"):
        assert other.state() != ours.state()


# --------------------------------------------------------------------------------------------------------------- modules


@ways
@pytest.mark.parametrize("name", [*LAYERS, *MODELS])
def test_a_module_keeps_its_parts_and_shares_no_memory(name, travel):
    module = {**LAYERS, **MODELS}[name](generator())
    optimizer = Adam(module) if module.parameters() else None  # which holds the parameters, and does not travel
    other = travel(module)
    assert repr(other) == repr(module)
    assert other.named_modules().keys() == module.named_modules().keys()
    ours, theirs = module.state(), other.state()
    assert ours.keys() == theirs.keys()
    for key, array in ours.items():
        np.testing.assert_array_equal(theirs[key], array)
        assert theirs[key].dtype == array.dtype
        assert not np.shares_memory(theirs[key], array)
    for parameter in other.parameters():
        assert not parameter.is_owned
        assert parameter.requires_grad
        assert parameter.grad is None
    if optimizer:
        Adam(other)


@ways
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["wrapped", "dropout", "vae", "classifier"])
def test_a_module_computes_the_same_afterwards(name, travel, training):
    module = {**LAYERS, **MODELS}[name](generator()).train(training)
    other = travel(module)
    if name in LAYERS:
        module.layers, other.layers = (list(part.layers)[:3] for part in (module, other))
        x = np.array([[1.0, -2.0], [0.5, 1.0]], F)
        outputs = [[part(x).data for _ in range(3)] for part in (module, other)]
    elif name == "vae":
        outputs = [[part.loss(IMAGES, rng=Generator(1))[0].data] for part in (module, other)]
    else:
        outputs = [[part(IMAGES).data] for part in (module, other)]
    np.testing.assert_array_equal(*outputs)


@ways
def test_what_is_set_on_a_parameter_travels(travel):
    class Named(nn.Parameter):
        pass

    globals()["Named"], Named.__qualname__ = Named, "Named"
    w = Named(np.ones(3, F), name="w")
    w.requires_grad, w.note = False, "frozen"
    w.grad = mg.ones(3)
    other = travel(w)
    assert (type(other), other.name, other.requires_grad, other.note, other.grad) == (Named, "w", False, "frozen", None)


@ways
def test_operations_are_the_same_objects_afterwards(travel):
    for operation in Primitive.registry.values():
        if operation.__module__.startswith("minigen."):
            assert travel(operation) is operation


@ways
def test_a_tensor_with_a_graph_is_refused_and_a_leaf_travels(travel):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    y = mg.exp(x)
    y.sum().backward()
    other = travel(x)
    np.testing.assert_array_equal(other.grad.data, x.grad.data)
    with pytest.raises(TypeError, match=r"computed by exp, shape \(2,\), cannot be copied or pickled.*mg\.tensor"):
        travel(y)


@ways
def test_distributions_of_constants_travel(travel):
    for p in (Normal(np.zeros(2, F), scale=1.0), Bernoulli(logits=np.ones(2)), Laplace(np.zeros(1), scale=2.0)):
        np.testing.assert_array_equal(travel(p).log_prob(np.ones(1)), p.log_prob(np.ones(1)))
    assert travel(Categorical(logits=np.zeros(3))).entropy() == pytest.approx(np.log(3))


# ------------------------------------------------------------------------------------------------ with their optimizer


def train(net, optimizer, average, steps, seed):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        optimizer.zero_grad()
        mg.mean(net(rng.normal(size=(4, 3)).astype(F)) ** 2).backward()
        optimizer.clip_gradients(1.0)
        optimizer.step()
        average.update()


def trio(make):
    rng = generator()
    net = nn.Sequential(nn.Linear(3, 5, rng=rng), nn.Tanh(), nn.Dropout(p=0.2, rng=rng), nn.Linear(5, 1, rng=rng))
    optimizer = make(net)
    average = EMA(optimizer, decay=0.8)
    train(net, optimizer, average, 4, seed=0)
    return net, optimizer, average


@ways
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_network_optimizer_and_average_train_on_alike_and_apart(name, travel):
    ours = trio(OPTIMIZERS[name])
    theirs = travel(ours)
    copied = [flat(part.state()) for part in theirs]
    assert copied == [flat(part.state()) for part in ours]
    train(*ours, 5, seed=1)
    assert copied == [flat(part.state()) for part in theirs]  # training ours left them as they were
    train(*theirs, 5, seed=1)
    assert [flat(part.state()) for part in theirs] == [flat(part.state()) for part in ours]
    net, optimizer, average = theirs
    for vector in (optimizer.arena.values, optimizer.arena.gradients, average.average, *optimizer.moments.values()):
        assert vector.ctypes.data % 64 == 0
    assert np.shares_memory(net[0].weight.data, optimizer.arena.values)
    assert average.arena is optimizer.arena
    with average.applied():
        assert (net[0].weight.data == optimizer.arena.views(average.average)["layers.0.weight"]).all()
    with pytest.raises(ValueError, match="already belongs to another optimizer"):
        Adam(net)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_shallow_copy_of_an_optimizer_shares_the_parameters_alone(name):
    net, optimizer, average = trio(OPTIMIZERS[name])
    other, other_average = copy.copy(optimizer), copy.copy(average)
    before = flat(optimizer.state()), flat(average.state())
    train(net, other, other_average, 3, seed=1)
    assert (flat(optimizer.state()), flat(average.state())) == before
    with pytest.raises(ValueError, match="already belongs to another optimizer"):
        copy.copy(optimizer.arena)


def test_unpickled_arrays_run_the_same_kernels():
    x = np.linspace(-3, 3, 101, dtype=F)
    other = pickle.loads(pickle.dumps(x))
    assert other.dtype is not x.dtype  # NumPy's
    for operation in (mg.tanh, mg.gelu, mg.softmax, mg.silu):
        assert operation(other).tobytes() == operation(x).tobytes()


@ways
def test_an_optimizer_inside_its_network_travels_with_it(travel):
    class Learner(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(np.ones(2, F))
            self.optimizer = SGD(self, learning_rate=0.5)

    globals()["Learner"], Learner.__qualname__ = Learner, "Learner"
    learner = Learner()
    other = travel(learner)
    mg.sum(other.weight).backward()
    other.optimizer.step()
    np.testing.assert_array_equal(other.weight.data, 0.5)
    np.testing.assert_array_equal(learner.weight.data, 1.0)


@ways
def test_what_was_assigned_travels_too(travel):
    net, optimizer, _ = trio(OPTIMIZERS["adam"])
    net[0].bias.data = np.full(5, 7, F)
    net, optimizer = travel((net, optimizer))
    np.testing.assert_array_equal(optimizer.arena.views(optimizer.arena.values)["layers.0.bias"], 7)


@ways
@pytest.mark.parametrize("use", ["step", "clip_values", "update", "applied"])
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_copied_apart_from_the_network_they_refuse_to_work(name, use, travel):
    net, optimizer, average = trio(OPTIMIZERS[name])
    other_net, (other, other_average) = travel(net), travel((optimizer, average))
    mg.sum(other_net(np.ones((1, 3), F))).backward()
    uses = {
        "step": other.step,
        "clip_values": lambda: other.clip_values(1.0),
        "update": other_average.update,
        "applied": lambda: other_average.applied().__enter__(),
    }
    with pytest.raises(
        RuntimeError, match="no network has its parameters; copy or pickle it together with the network"
    ):
        uses[use]()
    assert flat(other.state()) == flat(optimizer.state())  # the state itself is there
    train(net, optimizer, average, 1, seed=0)


@ways
def test_a_copy_whose_parameters_somebody_has_works(travel):
    _, optimizer, _ = trio(OPTIMIZERS["sgd"])
    other = travel(optimizer)
    bias = other.arena.parameters["layers.0.bias"]
    mg.sum(bias).backward()
    other.step()


def test_a_pickled_pair_trains_on_in_another_process(tmp_path):
    ours = trio(OPTIMIZERS["momentum"])
    (tmp_path / "trio").write_bytes(pickle.dumps(ours))
    code = (
        "import pickle, sys; from test_copies import train, flat; trio = pickle.loads(open(sys.argv[1], 'rb').read());"
        "train(*trio, 3, seed=2); print([flat(part.state()) for part in trio])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "trio")],
        cwd=__file__.rsplit("/", 1)[0],
        capture_output=True,
        text=True,
        check=True,
    )
    train(*ours, 3, seed=2)
    assert done.stdout.strip() == str([flat(part.state()) for part in ours])


@ways
@pytest.mark.parametrize("name", OTHERS)
def test_the_parts_of_a_run_travel(name, travel):
    ours = OTHERS[name]()
    assert flat(travel(ours).state()) == flat(ours.state())
