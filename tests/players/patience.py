"""The largest patience that can end a series before its last Train round, by `rounds` and `evaluation.every`."""

# (rounds, every): the largest `stop.patience`. 0: none.
LARGEST = {
    (1, 0): 0,
    (1, 1): 0,
    (2, 0): 0,
    (2, 1): 0,
    (3, 0): 0,
    (3, 1): 1,
    (3, 2): 1,
    (3, 3): 0,
    (4, 0): 1,
    (4, 1): 2,
    (4, 2): 1,
    (4, 3): 2,
    (5, 0): 2,
    (5, 2): 3,
    (5, 3): 2,
    (5, 9): 2,
}
