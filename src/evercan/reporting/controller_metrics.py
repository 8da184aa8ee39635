"""The metrics of controllers; loaded with the first scrape, like ``metrics``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from evercan.model.controller import Controller, ControllerState


def families(controllers: Mapping[str, Controller]) -> Iterator[Metric]:
    """Yield the metrics of every controller that is a bus, by bus interface."""
    states = GaugeMetricFamily(
        "evercan_controller_state",
        "1 for the state that a controller is in, 0 for the others.",
        labels=("bus", "state"),
    )
    errors = GaugeMetricFamily(
        "evercan_controller_error_level",
        "A controller's error counters, TEC and REC: above 127 error-passive, above 255 bus-off.",
        labels=("bus", "direction"),
    )
    bitrates = GaugeMetricFamily(
        "evercan_controller_bitrate",
        "Bitrate in bit/s that the kernel made of what was asked, by phase of a frame.",
        labels=("bus", "phase"),
    )
    queue = GaugeMetricFamily(
        "evercan_controller_queue_length",
        "Frames that may wait for the wire (txqueuelen).",
        labels=("bus",),
    )
    events = CounterMetricFamily(
        "evercan_controller_events",
        "What happened to a controller since it appeared, by kind.",
        labels=("bus", "event"),
    )
    frames = CounterMetricFamily(
        "evercan_controller_frames",
        "Frames at a controller since it appeared, by direction and what became of them; "
        "overrun: received faster than they were read.",
        labels=("bus", "direction", "fate"),
    )
    for bus, controller in controllers.items():
        for state in ControllerState:
            states.add_metric((bus, state), float(controller.state is state))
        for direction, counter in (("tx", controller.tx_errors), ("rx", controller.rx_errors)):
            if counter is not None:
                errors.add_metric((bus, direction), counter)
        for phase, rate in (
            ("arbitration", controller.timing.bitrate),
            ("data", controller.timing.dbitrate),
        ):
            if rate:
                bitrates.add_metric((bus, phase), rate)
        queue.add_metric((bus,), controller.txqueuelen)
        for event, times in controller.events._asdict().items():
            events.add_metric((bus, event), times)
        _count_frames(frames, bus, controller)
    yield from (states, errors, bitrates, queue, events, frames)


def _count_frames(family: CounterMetricFamily, bus: str, controller: Controller) -> None:
    traffic = controller.traffic
    if traffic is None:
        return
    for direction, fate, number in (
        ("tx", "ok", traffic.tx_packets),
        ("tx", "error", traffic.tx_errors),
        ("tx", "dropped", traffic.tx_dropped),
        ("rx", "ok", traffic.rx_packets),
        ("rx", "error", traffic.rx_errors),
        ("rx", "dropped", traffic.rx_dropped),
        ("rx", "overrun", traffic.rx_over_errors),
    ):
        family.add_metric((bus, direction, fate), number)
