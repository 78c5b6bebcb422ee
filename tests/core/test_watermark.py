"""A ticket resolves exactly when nothing up to its number is held."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regend.core.watermark import Watermark


def test_ticket_waits_for_older_numbers_only() -> None:
    mark = Watermark()
    assert mark.hold_next() == 1
    mark.add_ticket(7)
    assert mark.hold_next() == 2
    assert mark.take_resolved() == []
    assert mark.waiting == (7,)
    mark.release(1)
    assert mark.take_resolved() == [7]
    assert mark.take_resolved() == []
    assert mark.oldest() == 2


def test_a_number_held_twice_is_released_twice() -> None:
    mark = Watermark()
    mark.hold(1)
    mark.hold(1)
    mark.release(1)
    assert mark.oldest() == 1
    mark.release(1)
    assert mark.oldest() is None


def test_abandoned_tickets_never_resolve() -> None:
    mark = Watermark()
    mark.add_ticket(1)
    mark.abandon(1)
    mark.abandon(2)
    assert mark.take_resolved() == []


def test_numbers_do_not_pile_up_while_nobody_asks() -> None:
    mark = Watermark()
    mark.hold(0)
    for seq in range(1, 100):
        mark.hold(seq)
        mark.release(seq)
    assert mark.oldest() == 0
    mark.release(0)
    assert mark._heap == []


@given(st.lists(st.tuples(st.sampled_from("hnrt"), st.integers(0, 6)), max_size=60))
def test_against_a_plain_list(steps: list[tuple[str, int]]) -> None:
    mark, held, tickets, latest = Watermark(), list[int](), dict[int, int](), 0
    for number, (kind, seq) in enumerate(steps):
        if kind == "h":
            mark.hold(seq)
            held.append(seq)
        elif kind == "r" and seq in held:
            mark.release(seq)
            held.remove(seq)
        elif kind == "n":
            latest += 1
            assert mark.hold_next() == latest
            held.append(latest)
        elif kind == "t":
            mark.add_ticket(number)
            tickets[number] = latest
        expected = [t for t, upto in tickets.items() if not any(seq <= upto for seq in held)]
        assert mark.take_resolved() == expected
        for ticket in expected:
            del tickets[ticket]
        assert mark.oldest() == min(held, default=None)
        assert mark.first_awaited == min(tickets.values(), default=None)
        assert mark.held_count == len(set(held))
        mark.check_invariants()
