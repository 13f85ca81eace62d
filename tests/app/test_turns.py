"""Pages in turn: few at once, in order, and nobody waits for ever."""

import threading
import time

import pytest
from dssl_bio.app.turns import Turns


def test_no_more_than_allowed_at_once():
    turns, lock = Turns(at_once=2, patience_s=20), threading.Lock()
    inside, most = 0, 0

    def page():
        nonlocal inside, most
        with turns.turn() as given:
            assert given
            with lock:
                inside, most = inside + 1, max(most, inside + 1)
            time.sleep(0.01)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=page) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 2
    assert inside == 0


def test_turns_are_given_in_the_order_of_coming():
    turns, order, threads = Turns(at_once=1, patience_s=20), [], []

    def page(number):
        with turns.turn():
            order.append(number)

    with turns.turn():
        for number in range(6):
            threads.append(threading.Thread(target=page, args=(number,)))
            threads[-1].start()
            while len(turns._waiting) <= number:
                time.sleep(0.001)
    for thread in threads:
        thread.join()
    assert order == list(range(6))


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
