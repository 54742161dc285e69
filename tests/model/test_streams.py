import numpy as np

from capplan.model.streams import stream


def test_a_stream_is_the_same_whenever_it_is_asked_for():
    before = stream(1, "email: reach").random(1000)
    stream(1, "push: reach").random(17)
    assert np.array_equal(stream(1, "email: reach").random(1000), before)


def test_streams_of_other_names_and_seeds_are_independent():
    # |r| of 10,000 independent pairs is below 4/√10,000 except in 1 of 16,000 cases
    draws = [
        stream(seed, name).random(10_000)
        for seed, name in [
            (1, "a"),
            (1, "b"),
            (1, "aa"),
            (2, "a"),
            (12, "a"),
            (0, ""),
            (2**70, "a"),
        ]
    ]
    correlations = np.atleast_2d(np.corrcoef(draws)) - np.eye(len(draws))
    assert np.abs(correlations).max() < 0.04


def test_the_numbers_do_not_change_with_the_version_of_capplan():
    # stored results of a seed must be reproducible; a change here is a change of every result
    assert stream(1, "email: reach").integers(0, 1_000_000, 3).tolist() == [
        210153, 619175, 864583
    ]  # fmt: skip
