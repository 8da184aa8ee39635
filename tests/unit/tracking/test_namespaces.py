"""The namespace of a container end is trusted only as long as it is certain."""

from __future__ import annotations

import pytest

from evercan.model.declared import Declared, Endpoint, Network, Phase
from evercan.model.observed import LINK_GROUP, Link, Location, Observed
from evercan.tracking.namespaces import NameInside, Namespaces

DECLARED = Declared(
    networks={"net": Network(id="net", bus="vcan0")},
    endpoints={
        "end": Endpoint(
            id="end",
            network="net",
            host_end="vxcana",
            container_end="vxcanap",
            peer_prefix="can",
            phase=Phase.JOINED,
        )
    },
)
NOTHING: frozenset[int] = frozenset()


def observed(nsid: int | None, *, running: bool = True) -> Observed:
    link = Link(
        index=7,
        name="vxcana",
        kind="vxcan",
        group=LINK_GROUP,
        up=True,
        running=running,
        peer_index=2,
        peer_nsid=nsid,
    )
    return Observed(links={"vxcana": link})


def inside(_: Link) -> str:
    return "can0"


def must_not_ask(_: Link) -> str:
    raise AssertionError("what is known must not be asked for again")


def learn(
    known: Namespaces,
    declared: Declared,
    seen: Observed,
    ended: frozenset[int] | None,
    name_inside: NameInside,
) -> Namespaces:
    return known.without(ended).learn(declared, seen, ended, name_inside)


KNOWN = learn(Namespaces(), DECLARED, observed(3), NOTHING, inside)


def test_a_pair_that_is_up_in_a_namespace_is_learned() -> None:
    assert KNOWN.trusted == {"end": Location(3, "can0")}


def test_a_pair_that_is_down_is_not_learned_since_the_engine_renames_it_before_it_is_up() -> None:
    assert learn(Namespaces(), DECLARED, observed(3, running=False), NOTHING, inside).trusted == {}


@pytest.mark.parametrize("known", [Namespaces(), KNOWN], ids=["unknown", "known"])
def test_a_namespace_that_is_ending_is_never_asked_for_by_its_number(known: Namespaces) -> None:
    after = learn(known, DECLARED, observed(-1), NOTHING, must_not_ask)
    assert after.trusted == known.trusted
    assert after.ended == frozenset()


def test_a_pair_on_the_host_is_not_learned() -> None:
    assert learn(Namespaces(), DECLARED, observed(None), NOTHING, inside).trusted == {}


def test_what_is_known_is_not_asked_for_again_and_is_kept_after_the_pair() -> None:
    after = learn(KNOWN, DECLARED, observed(3), NOTHING, must_not_ask)
    after = learn(after, DECLARED, Observed(), NOTHING, must_not_ask)
    assert after.trusted == KNOWN.trusted


def test_a_number_that_ended_is_not_trusted_and_the_endpoint_has_ended() -> None:
    after = learn(KNOWN, DECLARED, Observed(), frozenset({3}), inside)
    assert after.trusted == {}
    assert after.ended == {"end"}


def test_a_number_that_ended_during_the_observation_is_not_learned() -> None:
    assert learn(Namespaces(), DECLARED, observed(3), frozenset({3}), inside).trusted == {}


def test_after_lost_announcements_no_number_is_trusted_and_no_endpoint_has_ended() -> None:
    after = learn(KNOWN, DECLARED, Observed(), None, inside)
    assert after.trusted == {}
    assert after.ended == frozenset()


def test_an_observation_before_lost_announcements_teaches_nothing_and_the_next_one_does() -> None:
    after = learn(KNOWN, DECLARED, observed(4), None, must_not_ask)
    assert after.trusted == {}
    after = learn(after, DECLARED, observed(4), NOTHING, inside)
    assert after.trusted == {"end": Location(4, "can0")}


def test_an_endpoint_that_is_not_declared_is_forgotten() -> None:
    after = learn(KNOWN, Declared(), observed(3), NOTHING, inside)
    assert after == Namespaces()


def test_an_endpoint_observed_in_another_namespace_is_known_to_be_there() -> None:
    assert learn(KNOWN, DECLARED, observed(9), NOTHING, inside).trusted == {
        "end": Location(9, "can0")
    }


def test_a_name_that_is_not_text_is_not_learned() -> None:
    odd = b"can\xff".decode(errors="surrogateescape")
    assert learn(Namespaces(), DECLARED, observed(3), NOTHING, lambda _: odd).trusted == {}
