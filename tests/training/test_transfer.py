import numpy as np
import torch

from seqtune.training.device import Fetched, Transfer


def test_what_is_sent_is_what_is_received():
    arrays = np.arange(6).reshape(2, 3), np.array([True, False])
    numbers, flags = Transfer(torch.device("cpu")).send(*arrays).receive()
    assert numbers.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert flags.tolist() == [True, False]


def test_on_a_cpu_nothing_is_copied():
    array = np.zeros(3)
    (tensor,) = Transfer(torch.device("cpu")).send(array).receive()
    array[1] = 5
    assert tensor.tolist() == [0, 5, 0]


def test_what_is_fetched_are_the_values_of_that_moment():
    tensor = torch.tensor([1.0, 2.0])
    fetched = Fetched(tensor)
    tensor += 1
    assert fetched.ready()
    assert fetched.values() == [1.0, 2.0]
