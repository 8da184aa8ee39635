"""``evercan doctor``: everything that keeps a bus from being well, looked for in one go."""

from __future__ import annotations

from evercan.cli import show
from evercan.cli.doctor.check import Result
from evercan.cli.doctor.examination import examine
from evercan.cli.doctor.report import document, page
from evercan.cli.reach import Wish


def doctor(wish: Wish, *, as_json: bool, strict: bool) -> int:
    """Look, report, and return the exit status: 1 if something fails."""
    found = examine(wish)
    bad = {Result.FAIL, Result.WARN} if strict else {Result.FAIL}
    status = int(any(each.result in bad for each in found))
    if as_json:
        show.as_json(document(found))
    else:
        show.console().print(page(found), crop=False)
    return status
