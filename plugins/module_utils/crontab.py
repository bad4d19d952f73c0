# Copyright (c) 2026, cassops contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a CronJob was due last, by its schedule as Kubernetes reads it, in UTC. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

_MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# First and last value of each field, and their names: minute, hour, day of the month, month, day of the week.
_FIELDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_STARS = {"*", "?", "*/1", "?/1"}
# The 29th of February comes every four years, or eight.
_DAYS_BACK = 8 * 366


def last_due(times: str, before: float) -> float | None:
    """The last moment up to this one that the schedule names, in seconds since 1970; None where nobody can tell.

    :param times: as C(spec.schedule) has it.
    """
    fields = _MACROS.get(times, times).split()
    try:
        values = [_values(text, *limits) for text, limits in zip(fields, _FIELDS, strict=True)]
    except ValueError:
        return None
    minutes, hours, days, months, weekdays = values
    # Where both say something, either is enough; a star with a step says something.
    either = not any(_STARS & {*text.split(",")} for text in (fields[2], fields[4]))
    end = datetime.fromtimestamp(before, timezone.utc)
    for back in range(_DAYS_BACK):
        day = (end - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        fits = (day.day in days, day.isoweekday() % 7 in weekdays)
        if day.month not in months or not (any(fits) if either else all(fits)):
            continue
        moments = (day + timedelta(hours=hour, minutes=minute) for hour in hours for minute in minutes)
        due = max((moment for moment in moments if moment <= end), default=None)
        if due is not None:
            return due.timestamp()
    return None


def _values(field: str, first: int, last: int, names: tuple[str, ...]) -> set[int]:
    """What a field stands for: C(*), C(?), numbers, names, ranges, steps, and lists of them.

    :raises ValueError: it is none of these.
    """
    found: set[int] = set()
    for part in field.lower().split(","):
        span, _slash, step = part.partition("/")
        begin, dash, end = span.partition("-")
        if span in ("*", "?"):
            low, high = first, last
        else:
            low = _number(begin, first, names)
            # With a step one number begins a range that goes on to the end.
            high = _number(end, first, names) if dash else last if step else low
        if not first <= low <= high <= last:
            raise ValueError(field)
        found.update(range(low, high + 1, int(step or 1)))
    return found


def _number(text: str, first: int, names: tuple[str, ...]) -> int:
    return first + names.index(text) if text in names else int(text)
