import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigen.metrics import auroc, roc_curve

examples = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=2, max_size=40).filter(
    lambda pairs: len({positive for _, positive in pairs}) == 2
)


def parted(pairs):
    scores, positive = (np.array(part) for part in zip(*pairs, strict=True))
    return scores.astype(float), positive


@given(examples)
def test_it_is_the_share_of_pairs_in_order_and_half_of_those_tied(pairs):
    scores, positive = parted(pairs)
    wins = [np.sign(a - b) for a in scores[positive] for b in scores[~positive]]
    assert auroc(scores, positive) == pytest.approx((np.mean(wins) + 1) / 2)


@given(examples)
def test_it_is_the_area_under_the_curve(pairs):
    scores, positive = parted(pairs)
    x, y = roc_curve(scores, positive)
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert (np.diff(x) >= 0).all()
    assert (np.diff(y) >= 0).all()
    assert auroc(scores, positive) == pytest.approx(np.trapezoid(y, x))


@given(examples)
def test_only_the_order_counts_and_exchanged_kinds_mirror_it(pairs):
    scores, positive = parted(pairs)
    found = auroc(scores, positive)
    assert auroc(np.exp(scores), positive.astype(int)) == found
    assert auroc(-scores, positive) == pytest.approx(1 - found)
    assert auroc(scores, ~positive) == pytest.approx(1 - found)


def test_infinite_scores_have_their_place():
    assert auroc([-np.inf, 0.0, np.inf], [False, False, True]) == 1


@pytest.mark.parametrize(
    ("scores", "positive", "words"),
    [
        ([1.0, 2.0], [True], r"\(2,\) and positive \(1,\)"),
        ([1.0, np.nan], [True, False], "1 of 2 scores are NaN"),
        ([1.0, 2.0], [True, True], "2 positives of 2"),
        ([1.0, 2.0], [False, False], "0 positives of 2"),
        ([1.0, 2.0], [1, 2], "booleans, or 0 and 1"),
    ],
)
def test_what_has_no_area_is_refused(scores, positive, words):
    for function in (auroc, roc_curve):
        with pytest.raises(ValueError, match=f"{function.__name__}: .*{words}"):
            function(scores, positive)
