import pytest

from tools.rootfs import check
from tools.rootfs.assemble import dropped, linked_libraries, locked_hashes, wanted_from_wheel


@pytest.mark.parametrize(
    "name",
    [
        "asyncio/base_events.py",
        "unittest/mock.py",
        "sqlite3/__init__.py",
        "lib-dynload/_asyncio.cpython-313-x86_64-linux-gnu.so",
        "encodings/utf_8.py",
        "tests_of_nothing.py",
    ],
)
def test_parts_of_the_standard_library_that_are_kept(name: str) -> None:
    assert not dropped(name)


@pytest.mark.parametrize(
    "name",
    [
        "test/support/__init__.py",
        "asyncio/__pycache__/base_events.cpython-313.pyc",
        "lib-dynload/_testcapi.cpython-313-x86_64-linux-gnu.so",
        "lib-dynload/_codecs_jp.cpython-313-aarch64-linux-gnu.so",
        "ensurepip/_bundled/pip-25.whl",
        "config-3.13-x86_64-linux-gnu/libpython3.13.a",
    ],
)
def test_parts_of_the_standard_library_that_are_left_out(name: str) -> None:
    assert dropped(name)


def test_everything_that_the_check_imports_is_kept() -> None:
    for module in check.LATE:
        assert not dropped(module.replace(".", "/") + ".py"), module
        assert not dropped(module.split(".")[0] + "/__init__.py"), module


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("uvloop/loop.cpython-313-x86_64-linux-gnu.so", True),
        ("uvloop/loop.pyx", False),
        ("uvloop/_testbase.py", False),
        ("aiohttp/web.py", True),
        ("aiohttp/.hash/_cparser.pxd.hash", False),
        ("aiohttp/", False),
        ("multidict/__init__.pyi", False),
        ("pyroute2/tests.py", True),
        ("package/tests/test_a.py", False),
        ("attrs-26.1.0.dist-info/METADATA", True),
        ("attrs-26.1.0.dist-info/licenses/LICENSE", True),
        ("attrs-26.1.0.dist-info/RECORD", False),
        ("frozenlist/_frozenlist.cpython-313-x86_64-linux-gnu.so", False),
        ("frozenlist/__init__.py", True),
    ],
)
def test_members_of_wheels_that_are_needed(name: str, wanted: bool) -> None:
    assert wanted_from_wheel(name) is wanted


def test_hashes_are_read_from_a_requirements_file() -> None:
    a, b = "a" * 64, "0" * 64
    text = f"one==1 \\\n    --hash=sha256:{a} \\\n    --hash=sha256:{b}\n    # via two\n"
    assert locked_hashes(text) == {a, b}


def test_libraries_are_read_from_the_output_of_ldd() -> None:
    output = """\
\tlinux-vdso.so.1 (0x00007f01de296000)
\tlibm.so.6 => /lib/x86_64-linux-gnu/libm.so.6 (0x00007f01de19c000)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f01de298000)
"""
    assert linked_libraries(output) == [
        "/lib/x86_64-linux-gnu/libm.so.6",
        "/lib64/ld-linux-x86-64.so.2",
    ]
    assert linked_libraries("\tstatically linked\n") == []


def test_a_missing_library_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"libx\.so\.1"):
        linked_libraries("\tlibx.so.1 => not found\n")
