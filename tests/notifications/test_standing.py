"""What the log says of an endpoint to which several processes send."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from registry.foundation.shared_set import SharedSet
from registry.notifications.standing import Report

if TYPE_CHECKING:
    import pytest


def test_of_processes_that_send_to_an_endpoint_one_says_that_it_fails_and_one_that_it_works_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    told = SharedSet()
    reports = [Report("ci", told) for _ in range(4)]
    other = Report("other", told)
    for _ in range(3):
        for report in reports:
            report.failed("timed out")
    other.failed("timed out")
    for report in (*reports, other):
        report.delivered()

    lines = [record.getMessage() for record in caplog.records]
    assert [line.partition(", after")[0] for line in lines] == [
        "endpoint ci does not take events: timed out",
        "endpoint other does not take events: timed out",
        "endpoint ci takes events again",
        "endpoint other takes events again",
    ]


def test_a_line_says_how_many_events_became_dead_letters(caplog: pytest.LogCaptureFixture) -> None:
    report = Report("ci", SharedSet())
    for lost in (0, 0, 3, 0):
        report.buried(lost=lost)
    report.tell_buried()
    report.buried(lost=1)
    report.tell_buried()

    assert [record.getMessage() for record in caplog.records] == [
        "endpoint ci: 4 more dead letters (registry notifications list --dead)",
        "endpoint ci: 3 dead letters are deleted, the oldest (notifications.journal.maxdead)",
    ]
