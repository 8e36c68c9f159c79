"""UUIDs as text are those of the library."""

from __future__ import annotations

import uuid

from registry.foundation.uuids import named_uuid, random_uuid

NUMBER = 1000


def test_each_is_a_random_uuid_in_its_usual_spelling() -> None:
    made = [random_uuid() for _ in range(NUMBER)]
    read = [uuid.UUID(text) for text in made]
    assert list(map(str, read)) == made
    assert {(each.version, each.variant) for each in read} == {(4, uuid.RFC_4122)}


def test_no_two_are_the_same_and_all_bits_but_those_of_the_version_vary() -> None:
    read = [uuid.UUID(random_uuid()).int for _ in range(NUMBER)]
    assert len(set(read)) == NUMBER
    varying = 0
    for each in read:
        varying |= each ^ read[0]
    assert varying == (1 << 128) - 1 - (0xF << 76) - (0b11 << 62)


def test_that_of_a_name_is_the_one_of_the_library() -> None:
    names = [f"{random_uuid()}/{number}" for number in range(NUMBER)]
    assert [named_uuid(uuid.NAMESPACE_URL, name) for name in names] == [
        str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in names
    ]
