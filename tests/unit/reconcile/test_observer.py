"""What an observation teaches of namespaces is certain, also when announcements are lost."""

from __future__ import annotations

from collections.abc import Callable

from evercan.model.observed import Link, Location, Observed
from evercan.model.steps import MakePair
from evercan.reconcile.observer import Observer
from tests.support.declarations import declare, endpoint, network
from tests.support.fake_kernel import FakeKernel

NUMBER = 3


class CrowdedKernel(FakeKernel):
    """A kernel whose announcements are lost during the first observation.

    Attributes:
        meanwhile: what happens between the dump of that observation and the loss.
    """

    def __init__(self, meanwhile: Callable[[FakeKernel], None]) -> None:
        super().__init__()
        self.meanwhile: Callable[[FakeKernel], None] | None = meanwhile

    def observe(self) -> Observed:
        observed = super().observe()
        if self.meanwhile is not None:
            self.meanwhile(self)
        return observed

    def ended_namespaces(self) -> frozenset[int] | None:
        ended = super().ended_namespaces()
        if self.meanwhile is None:
            return ended
        self.meanwhile = None
        return None

    def name_inside(self, _: Link) -> str | None:
        # Whichever namespace has the number now has an interface of that index.
        return "can0"


def observe(meanwhile: Callable[[FakeKernel], None]) -> Observed:
    kernel = CrowdedKernel(meanwhile)
    declared = declare([network()], [endpoint("aa")])
    kernel.apply([MakePair("vcan0", "aa", "vxcanaa", "vxcanaap")])
    kernel.move_in("vxcanaap", NUMBER)
    return Observer(kernel).observe(declared)


def test_a_number_that_may_have_ended_unnoticed_is_not_learned() -> None:
    # Its next owner would get the bus, if the pair of the former one were repaired.
    assert observe(lambda kernel: kernel.end_namespace(NUMBER)).locations == {}


def test_a_pair_that_outlives_lost_announcements_is_learned_by_observing_again() -> None:
    assert observe(lambda _: None).locations == {"aa": Location(NUMBER, "can0")}
