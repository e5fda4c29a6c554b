"""What tests fit where nothing depends on how much is learned: one pass over a few small filters.

QUICK is for the layer, QUICK_NET for both nets, whose tuple of numbers of filters it holds.
"""

QUICK = {"n_filters": 2, "filter_size": 3, "max_iter": 1, "batch_size": 10, "random_state": 0}
QUICK_NET = QUICK | {"n_filters": (2, 3)}
