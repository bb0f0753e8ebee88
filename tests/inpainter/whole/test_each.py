from threading import Barrier

import pytest
import torch

from simpaint.inpainter.whole.each import for_each


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_what_is_given(
    threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert for_each(divmod, [(n, 3) for n in range(20)]) == [divmod(n, 3) for n in range(20)]
    assert for_each(divmod, []) == []


def test_as_many_at_once_as_there_are_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    meeting = Barrier(3, timeout=10)  # passes only three at a time
    assert sorted(for_each(meeting.wait, [()] * 6)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("threads", [1, 3])
def test_an_error_is_passed_on(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    with pytest.raises(ZeroDivisionError):
        for_each(divmod, [(1, 1), (1, 0), (1, 1)])
