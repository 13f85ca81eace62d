"""Pages in turn: few at once, in order, and nobody waits for ever."""

import threading
import time

import pytest
from dssl_bio.app.turns import Turns


def test_no_more_than_allowed_at_once_and_in_the_order_of_coming():
    turns, lock = Turns(at_once=2, patience_s=10), threading.Lock()
    inside, most, order = 0, 0, []

    def page(number):
        nonlocal inside, most
        with turns.turn() as given:
            assert given
            with lock:
                inside, most = inside + 1, max(most, inside + 1)
                order.append(number)
            time.sleep(0.02)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=page, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
        time.sleep(0.002)  # so that they come in this order
    for thread in threads:
        thread.join()
    assert most == 2
    assert order == sorted(order)


def test_one_that_comes_when_a_place_is_given_back_does_not_pass_those_who_wait():
    turns, order = Turns(at_once=1, patience_s=10), []

    def page(name):
        with turns.turn():
            order.append(name)

    with turns.turn():
        waiting = threading.Thread(target=page, args=("waited",))
        waiting.start()
        while not turns._waiting:
            time.sleep(0.001)
    page("came late")  # from the thread that gave the place back, and runs on at once
    waiting.join()
    assert order == ["waited", "came late"]


def test_patience_ends_and_a_page_that_fails_gives_its_turn_back():
    turns = Turns(at_once=1, patience_s=0.05)
    with pytest.raises(ZeroDivisionError), turns.turn():
        raise ZeroDivisionError
    with turns.turn() as given:
        assert given
        with turns.turn() as second:
            assert not second
    assert turns._free == 1
    with turns.turn() as given:
        assert given
