"""Where the time of a step goes, also on a device that works on while Python goes on."""

from dataclasses import dataclass

from mario_tui.training.phases import DevicePhaseClock


@dataclass
class Device:
    """One that takes work, and does it later: `now` is where Python is, `done` where the device will be, in ms."""

    now: float = 0.0
    done: float = 0.0

    def work(self, milliseconds: float) -> None:
        self.done = max(self.now, self.done) + milliseconds

    def wait(self) -> None:
        self.now = max(self.now, self.done)

    def event(self) -> "Event":
        return Event(self)


@dataclass
class Event:
    device: Device
    at: float = -1.0

    def record(self) -> None:
        self.at = max(self.device.now, self.device.done)

    def query(self) -> bool:
        return self.at <= self.device.now

    def elapsed_time(self, end_event: "Event") -> float:
        return end_event.at - self.at


def test_a_phase_has_the_time_in_which_the_device_did_its_work() -> None:
    device = Device()
    clock = DevicePhaseClock(device.event)
    for _ in range(2):
        clock.start()
        device.now += 1
        clock.mark("sample")
        device.work(20)  # begun, and not waited for
        device.now += 2
        clock.mark("update")
        device.now += 3
        clock.mark("cache")
        assert clock["update"] in (0, 0.02), "not known before it is done"
        device.work(4)
        device.wait()
        clock.mark("act")
        device.now += 5  # between two ticks
    device.work(100)
    clock.finish(device.wait)
    assert clock == {"sample": 0.002, "update": 0.04, "cache": 0.0, "act": 0.008}


def test_what_was_asked_for_before_is_forgotten() -> None:
    device = Device()
    clock = DevicePhaseClock(device.event)
    clock.start()
    device.work(50)
    clock.mark("update")
    clock.clear()
    device.wait()
    clock.start()
    device.now += 7
    clock.mark("sample")
    clock.finish(device.wait)
    assert clock == {"sample": 0.007}
