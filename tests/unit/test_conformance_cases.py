"""The plays that are performed on the fake and on a real kernel hold what they say."""

from __future__ import annotations

import errno

import pytest

from tests.support.conformance_cases import PLAYS, perform_on_fake

REFUSED = {
    "a bus": [errno.EEXIST, errno.ENODEV],
    "a bus that somebody made": [errno.EEXIST],
    "names that cannot be": [
        errno.ERANGE,
        *(5 * [errno.EINVAL]),
        *(2 * [errno.ERANGE]),
        errno.EINVAL,
        errno.ERANGE,
        errno.ENODEV,
    ],
    "a pair whose names are taken": 5 * [errno.EEXIST],
    "rules": 3 * [errno.EINVAL],
    "rules that cannot be": [*3 * [errno.ENODEV], errno.EINVAL, errno.ENODEV],
    "a pair cannot be mended": 3 * [errno.EEXIST],
    "an end is named": [*3 * [errno.EEXIST], errno.ENODEV, errno.EEXIST],
    "a controller": [errno.EINVAL, errno.ENODEV, 2],
    "a controller that refuses": [
        errno.EINVAL,
        errno.EOPNOTSUPP,
        errno.EINVAL,
        errno.EINVAL,
        errno.EOPNOTSUPP,
    ],
    "bitrates": [errno.EINVAL],
    "a virtual bus is no controller": [errno.EOPNOTSUPP],
}


@pytest.mark.parametrize("name", PLAYS)
def test_the_fake_refuses_what_a_kernel_refuses(name: str) -> None:
    codes = [each["code"] for each in perform_on_fake(PLAYS[name])]
    assert [code for code in codes if code] == REFUSED.get(name, [])


def test_a_mending_that_fails_leaves_nothing_and_takes_nothing_of_others() -> None:
    seen = perform_on_fake(PLAYS["a pair cannot be mended"])
    (clash,) = [each for each in seen if each["act"] == ["mend", "vxcan2", 1, "can1"]][1:2]
    assert clash["links"].keys() == {"vcan0", "vxcan1", "vxcan2r"}
    assert seen[-1]["inside"] == {"1": {"can0": True, "can1": True}}
