"""Where container ends are is believed only as long as it is certain."""

from __future__ import annotations

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


def seen(nsid: int | None, *, running: bool = True) -> Observed:
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


def asked_twice(_: Link) -> str:
    raise AssertionError("what is known need not be asked again")


def look(
    known: Namespaces,
    declared: Declared,
    observed: Observed,
    ended: frozenset[int] | None,
    name_inside: NameInside,
) -> Namespaces:
    return known.without(ended).learn(declared, observed, ended, name_inside)


KNOWN = look(Namespaces(), DECLARED, seen(3), NOTHING, inside)


def test_a_pair_that_is_up_in_a_namespace_is_learned() -> None:
    assert KNOWN.trusted == {"end": Location(3, "can0")}


def test_the_engine_renames_before_it_sets_up_so_a_pair_that_is_down_is_not_learned() -> None:
    assert look(Namespaces(), DECLARED, seen(3, running=False), NOTHING, inside).trusted == {}


def test_a_pair_on_the_host_is_in_no_sandbox() -> None:
    assert look(Namespaces(), DECLARED, seen(None), NOTHING, inside).trusted == {}


def test_what_is_known_is_not_asked_again_and_outlives_the_pair() -> None:
    after = look(KNOWN, DECLARED, seen(3), NOTHING, asked_twice)
    after = look(after, DECLARED, Observed(), NOTHING, asked_twice)
    assert after.trusted == KNOWN.trusted


def test_a_number_that_ended_is_not_believed_and_the_endpoint_ended_with_it() -> None:
    after = look(KNOWN, DECLARED, Observed(), frozenset({3}), inside)
    assert after.trusted == {}
    assert after.ended == {"end"}


def test_a_number_that_ended_while_looking_is_not_learned() -> None:
    assert look(Namespaces(), DECLARED, seen(3), frozenset({3}), inside).trusted == {}


def test_lost_announcements_take_the_trust_away_but_prove_no_end() -> None:
    after = look(KNOWN, DECLARED, Observed(), None, inside)
    assert after.trusted == {}
    assert after.ended == frozenset()


def test_after_lost_announcements_a_pair_that_is_seen_is_learned_anew() -> None:
    assert look(KNOWN, DECLARED, seen(4), None, inside).trusted == {"end": Location(4, "can0")}


def test_an_endpoint_that_is_forgotten_is_forgotten_here() -> None:
    after = look(KNOWN, Declared(), seen(3), NOTHING, inside)
    assert after == Namespaces()


def test_an_endpoint_seen_in_another_namespace_is_there_now() -> None:
    assert look(KNOWN, DECLARED, seen(9), NOTHING, inside).trusted == {"end": Location(9, "can0")}


def test_a_name_that_is_no_text_cannot_be_given_again() -> None:
    odd = b"can\xff".decode(errors="surrogateescape")
    assert look(Namespaces(), DECLARED, seen(3), NOTHING, lambda _: odd).trusted == {}
