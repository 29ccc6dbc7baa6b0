"""Whether a model draws what it was told, by classifiers whose answers are known."""

import numpy as np
import pytest

from minigen.metrics import class_accuracies, neighbour_accuracy


def examples(n, seed, centres=(0.0, 10.0)):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % len(centres)
    return np.array(centres)[labels][:, None] + rng.normal(size=(n, 1)), labels


def teach(known):
    """The nearest mean."""
    means = np.array([known[0][known[1] == k].mean() for k in range(2)])
    return lambda images: -np.abs(images - means)


def test_a_model_like_the_data_is_as_good_as_the_data():
    found = class_accuracies(examples(200, 0), examples(200, 1), examples(200, 2), teach=teach)
    assert found == (1.0, 1.0, 1.0)


def test_swapped_classes_are_all_wrong_and_lack_of_variety_is_found_by_gan_train_only():
    real, test = examples(200, 1), examples(200, 2)
    swapped = (examples(200, 0)[0], 1 - examples(200, 0)[1])
    assert class_accuracies(swapped, real, test, teach=teach) == (0.0, 0.0, 1.0)
    # Class 1 collapsed onto its upper edge: taught by it, 5 of the 10 in between go to class 0.
    narrow = examples(200, 0, centres=(-9.0, 29.0))
    found = class_accuracies(narrow, real, test, teach=teach)
    assert found.gan_test_accuracy == 1
    assert found.gan_train_accuracy == pytest.approx(0.75, abs=0.15)


def test_the_nearest_neighbour():
    known, test = examples(300, 0), examples(100, 1)
    assert neighbour_accuracy(known, test) == 1
    assert neighbour_accuracy((known[0], 1 - known[1]), test) == 0


def test_an_empty_class_and_one_too_many_are_refused():
    real = examples(20, 0)
    only_zeros = (real[0][real[1] == 0], real[1][real[1] == 0])
    for function in (lambda g: class_accuracies(g, real, real, teach=teach), lambda g: neighbour_accuracy(g, real)):
        with pytest.raises(ValueError, match=r"there are no images of the classes \[1\] to learn them from"):
            function(only_zeros)
    more = (np.concatenate([real[0], real[0][:1]]), np.append(real[1], 2))
    with pytest.raises(ValueError, match=r"generated images of the classes \[2\], which the real ones do not have"):
        class_accuracies(more, real, real, teach=teach)
    assert neighbour_accuracy(more, real) == 1  # of equally near ones the first counts


def test_test_images_of_a_class_that_nobody_teaches_are_refused():
    pairs = examples(20, 0)
    test = (pairs[0], pairs[1] + 1)
    with pytest.raises(
        ValueError, match=r"class_accuracies: there are test images of the classes \[2\], which the real ones"
    ):
        class_accuracies(pairs, pairs, test, teach=teach)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.zeros(3, int), r"labels \(3,\) of int64"),
        (np.zeros((4, 1), int), r"labels \(4, 1\)"),
        (np.zeros(4), r"labels \(4,\) of float64, expected at least one image, and a whole number for each"),
    ],
)
def test_images_without_a_label_each_are_refused(labels, words):
    good, bad = (np.zeros((4, 1)), np.zeros(4, int)), (np.zeros((4, 1)), labels)
    for triple, name in (((bad, good, good), "generated"), ((good, bad, good), "real"), ((good, good, bad), "test")):
        with pytest.raises(ValueError, match=rf"class_accuracies: {name} images \(4, 1\) and {words}"):
            class_accuracies(*triple, teach=teach)
    for pair, name in (((bad, good), "known"), ((good, bad), "test")):
        with pytest.raises(ValueError, match=rf"neighbour_accuracy: {name} images \(4, 1\) and {words}"):
            neighbour_accuracy(*pair)


def test_of_equally_near_images_the_first_tells_the_class():
    known = (np.array([[1.0], [-1.0]]), np.array([1, 0]))
    assert neighbour_accuracy(known, (np.array([[0.0], [-3.0]]), np.array([1, 0]))) == 1
