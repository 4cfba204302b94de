"""Who is who: ids of patients that a person would take for one stand for one patient, so that no split parts them."""

from collections.abc import Iterable

from hilum.case import Case
from hilum.sources.spelling import similar_ids


def persons(cases: Iterable[Case]) -> dict[str, str]:
    """By patient id, the one id that stands for all its spellings (P1, p01, "p 1"): the first of them when sorted."""
    ids = {case.patient for case in cases}
    spelt = {one: group[0] for group in similar_ids(ids) for one in group}
    return {patient: spelt.get(patient, patient) for patient in ids}


def named_persons(cases: Iterable[Case]) -> dict[str, str]:
    """The same where ids are those of people; the name of a case, which stands for an unknown patient, is taken as is.

    Files are often told apart by a zero or a blank, people are not.
    """
    cases = tuple(cases)
    known = {case.patient for case in cases if case.patient != case.id}
    return {case.patient: case.patient for case in cases} | persons(case for case in cases if case.patient in known)
