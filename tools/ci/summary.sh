#!/bin/sh
# Adds the rows that this run has changed in docs/tested.md to the summary of a GitHub job.
#
#   tools/ci/summary.sh TITLE
set -eu

{
    echo "### $1"
    echo
    grep '^| release ' docs/tested.md
    echo '| --- | --- | --- | --- | --- | --- | --- | --- | --- |'
    git diff --unified=0 docs/tested.md | sed -n 's/^+\(| .*\)/\1/p' | grep -v '^| ---\|^| release'
} >>"${GITHUB_STEP_SUMMARY:-/dev/stdout}"
