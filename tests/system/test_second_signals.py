"""Which signals end a program that has not taken them over."""

import signal

import pytest

from mario_tui.system import signals


def test_a_second_kind_of_signal_does_not_break_in_but_the_same_sigterm_again_does() -> None:
    with signals.restored((*signals.ENDINGS, *signals.WARNINGS)):
        signals.begin()
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGHUP)
        assert ended.value.code == 129
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)  # as a machine that stops sends it
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGTERM)  # from somebody who thinks that it hangs
        assert ended.value.code == 143
        signal.raise_signal(signal.SIGUSR1)
