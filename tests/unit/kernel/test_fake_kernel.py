"""The conformance cases cover the errors that they are meant to cover."""

from __future__ import annotations

import errno

import pytest

from tests.support.conformance_cases import CASES, MIXED_DUPLICATES, run_on_fake

REJECTED = {
    "a bus": [errno.EEXIST, errno.ENODEV],
    "a tag is cleared": [errno.ENODEV],
    "MTUs": [errno.ENODEV],
    "a bus that somebody created": [errno.EEXIST],
    "invalid names": [
        errno.ERANGE,
        *(5 * [errno.EINVAL]),
        *(2 * [errno.ERANGE]),
        errno.EINVAL,
        errno.ERANGE,
        errno.ENODEV,
    ],
    "a pair whose names are in use": 5 * [errno.EEXIST],
    "rules": 3 * [errno.EINVAL],
    "invalid rules": [*3 * [errno.ENODEV], errno.EINVAL, errno.ENODEV],
    "a pair cannot be repaired": 3 * [errno.EEXIST],
    "an end is named": [*3 * [errno.EEXIST], errno.ENODEV, errno.EEXIST],
    "a controller": [errno.EINVAL, errno.ENODEV, 2],
    "a controller that rejects settings": [
        errno.EINVAL,
        errno.EOPNOTSUPP,
        errno.EINVAL,
        errno.EINVAL,
        errno.EOPNOTSUPP,
    ],
    "bitrates": [errno.EINVAL],
    "faults": [*3 * [errno.EINVAL], errno.EEXIST, errno.EINVAL, *2 * [errno.ENODEV]],
    "faults of a member with limits": 2 * [errno.EINVAL],
    "a bus as slow as a wire": 3 * [errno.ENODEV],
    "filters": [errno.EEXIST, errno.ENODEV, errno.ENODEV],
    "a virtual bus is no controller": [errno.EOPNOTSUPP],
}


@pytest.mark.parametrize("name", CASES)
def test_the_fake_kernel_rejects_what_a_kernel_rejects(name: str) -> None:
    codes = [result["code"] for result in run_on_fake(CASES[name])]
    assert [code for code in codes if code] == REJECTED.get(name, [])


def test_some_kernels_take_no_fault_beside_one_that_duplicates_frames() -> None:
    observed = run_on_fake(CASES[MIXED_DUPLICATES], mixes_duplicates=False)
    acts = [result for result in observed if result["act"][0] == "set faults"]
    rejected = [number for number, result in enumerate(acts) if result["code"] == errno.EINVAL]
    assert rejected == [1, 2, 5, 7]
    bands, matches = acts[1]["faults"]["vxcan1"]
    assert [slot for slot, _ in bands] == [1], "the bands that the kernel takes stay"
    assert matches == ()


def test_a_repair_that_fails_leaves_nothing_and_removes_nothing_of_others() -> None:
    observed = run_on_fake(CASES["a pair cannot be repaired"])
    attempts = [result for result in observed if result["act"] == ["repair", "vxcan2", 1, "can1"]]
    clash = attempts[1]
    assert clash["links"].keys() == {"vcan0", "vxcan1", "vxcan2r"}
    assert observed[-1]["inside"] == {"1": {"can0": True, "can1": True}}
