"""First parameters: drawn with the variance their layer asks for, each on its own, the same every time."""

import numpy as np
import pytest

from engine.models.draws import CUT, Draws, dense, he_normal, lecun_normal, orthogonal, zeros


@pytest.mark.parametrize(("kernel", "variance"), [(he_normal, 2.0), (lecun_normal, 1.0)])
def test_a_kernel_has_the_variance_of_its_initializer_and_no_tails(kernel, variance):
    inputs = 5 * 40
    drawn = kernel(Draws(3).params(), (5, 40, 500), np.float32)
    assert drawn.dtype == np.float32
    assert drawn.mean() == pytest.approx(0, abs=1e-3)
    assert drawn.var() * inputs == pytest.approx(variance, rel=0.02)
    # What is cut off at two deviations has 0.88 of the deviation that it had.
    assert np.abs(drawn).max() <= CUT * np.sqrt(variance / inputs) / 0.8796


@pytest.mark.parametrize("shape", [(6, 18), (18, 6), (7, 7)])
def test_the_shorter_side_of_an_orthogonal_kernel_is_orthonormal(shape):
    drawn = orthogonal(Draws(1).params(), shape, np.float32)
    assert drawn.shape == shape
    product = drawn @ drawn.T if shape[0] <= shape[1] else drawn.T @ drawn
    np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-5)


def test_an_orthogonal_kernel_turns_any_way():
    corners = [orthogonal(Draws(seed).params(), (3, 3), np.float32)[0, 0] for seed in range(40)]
    assert min(corners) < -0.3
    assert max(corners) > 0.3


def test_every_parameter_has_draws_of_its_own_and_a_seed_has_the_same_again():
    one, again, other = Draws(4), Draws(4), Draws(5)
    first, second = (he_normal(one.params(), (8, 8), np.float32) for _ in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, he_normal(again.params(), (8, 8), np.float32))
    assert not np.array_equal(first, he_normal(other.params(), (8, 8), np.float32))


def test_a_dense_layer_starts_with_its_kernel_and_without_a_bias():
    layer = dense(4, 3, Draws(0))
    np.testing.assert_array_equal(layer.kernel[...], lecun_normal(Draws(0).params(), (4, 3), np.float32))
    assert not np.any(layer.bias[...])
    assert not np.any(dense(4, 3, Draws(0), zeros).kernel[...])
