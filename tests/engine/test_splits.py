"""Who learns and who judges: parts of users, folds of an ensemble."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EngineError
from engine.splits import EARLIER, TEST, TRAIN, VALID, folds, held_out, split

N = 600
PARTS = split(np.arange(N), 0)


def test_a_users_part_depends_on_nobody_else():
    users = np.array([5, 17, 123_456_789, -4, 2**62])
    whole = split(users, 3)
    for at, user in enumerate(users):
        assert split(np.array([user]), 3)[0] == whole[at]
    assert whole.dtype == np.int8


@pytest.mark.parametrize("seed", [0, 1, 4_294_967_295])
def test_the_parts_have_their_shares(seed):
    shares = np.bincount(split(np.arange(100_000), seed)) / 100_000
    assert abs(shares - [0.70, 0.15, 0.15]).max() < 0.006


def test_seeds_split_independently():
    first, second = (split(np.arange(100_000), seed) == 2 for seed in (0, 1))
    assert abs((first & second).mean() - 0.15**2) < 0.003


def test_neighbouring_users_are_not_kept_together():
    test = split(np.arange(100_000), 0) == 2
    assert abs((test[1:] & test[:-1]).mean() - 0.15**2) < 0.003


def test_the_split_is_the_one_that_stored_models_were_trained_on():
    """A model's held-out users are found again by this hash: it must never change."""
    assert "".join(map(str, split(np.arange(1, 21), 0))) == "01100002010001000000"


@given(st.integers(0, 2**32 - 1))
def test_a_part_without_a_share_is_empty(seed):
    assert set(split(np.arange(200), seed, (0.8, 0.0, 0.2))) <= {0, 2}


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (1.2, -0.1, -0.1)])
def test_shares_that_do_not_add_up_are_refused(shares):
    with pytest.raises(EngineError, match="add up to 1"):
        split(np.arange(3), 0, shares)


def test_rows_of_one_user_are_in_one_fold():
    """Else an earlier cutoff's row would tell a member what it is judged on."""
    parts, users = np.concatenate([PARTS, PARTS + EARLIER]), np.tile(np.arange(N), 2)
    held = held_out(parts, np.ones(2 * N, bool), users, 0, 4)
    for member, judges in enumerate(held.judges):
        assert len(judges)
        assert (parts[judges] < EARLIER).all()
        assert not np.isin(users[judges], users[held.learners[held.counts[:, member]]]).any()
    assert not (parts[held.learners] % EARLIER == TEST).any()


def test_networks_that_nobody_would_judge_are_refused():
    few = next(users for users in np.arange(600).reshape(-1, 3) if (folds(users, 0, 8) >= 4).all())
    with pytest.raises(EngineError, match="No user is left to judge any of 4 networks: more users"):
        held_out(np.array([TRAIN, TRAIN, VALID]), np.ones(3, bool), few, 0, 4)


def test_one_network_learns_from_training_users_alone():
    parts, users = np.concatenate([PARTS, PARTS + EARLIER]), np.tile(np.arange(N), 2)
    held = held_out(parts, np.ones(2 * N, bool), users, 0, 1)
    assert (parts[held.learners] % EARLIER == TRAIN).all()
    assert np.array_equal(held.judges[0], np.flatnonzero(parts == VALID))
