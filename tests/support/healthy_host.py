"""Build a fake kernel on which everything declared exists, so that a test can break one thing."""

from __future__ import annotations

from evercan.intent.observation import after_observation, before_steps
from evercan.model.declared import BusKind, Declared, Phase
from evercan.model.observed import Observed
from evercan.model.steps import MakePair
from evercan.planning.plan import Plan, make_plan
from tests.support.fake_kernel import FakeKernel

_ROUNDS = 4


def healthy_host(declared: Declared) -> tuple[FakeKernel, Declared]:
    """Return the kernel, and the declared state with what evercan then knows of controllers.

    The container ends of joined endpoints are in namespaces of their own, numbered from 0 in
    the order of the endpoints.
    """
    kernel = FakeKernel()
    for network in declared.networks.values():
        if network.kind is BusKind.PHYSICAL and network.bus not in kernel.observe().links:
            kernel.plug(network.bus)
    for nsid, endpoint in enumerate(declared.endpoints.values()):
        if endpoint.phase in (Phase.JOINED, Phase.LEFT):
            kernel.apply(
                [MakePair("", endpoint.id, endpoint.host_end, endpoint.container_end)],
            )
            kernel.move_in(endpoint.container_end, nsid)
    for _ in range(_ROUNDS):
        observed = kernel.observe()
        steps = make_plan(declared, observed).steps
        declared = before_steps(declared, steps)
        kernel.apply(steps)
        declared = after_observation(declared, kernel.observe())
    assert make_plan(declared, kernel.observe()).steps == Plan().steps
    kernel.taken.clear()
    return kernel, declared


def healthy_kernel(declared: Declared) -> FakeKernel:
    """Return a kernel on which everything declared exists."""
    return healthy_host(declared)[0]


def healthy(declared: Declared) -> Observed:
    """Return what is observed when everything declared exists."""
    return healthy_kernel(declared).observe()
