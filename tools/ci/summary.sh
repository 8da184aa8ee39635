#!/bin/sh
# Adds the rows that this run has changed in docs/tested.md to the summary of a GitHub job.
#
#   tools/ci/summary.sh TITLE
set -eu

{
    echo "### $1"
    echo
    # The table's first two lines, then what this run has added.
    grep --max-count=1 --after-context=1 '^| release ' docs/tested.md || echo "no results"
    git diff --unified=0 docs/tested.md | sed -n '/^+| \(release\|---\) /d; s/^+\(| .*\)/\1/p'
} >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
