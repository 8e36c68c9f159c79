from __future__ import annotations

import pytest

from registry.browsing.foreign import Shown
from registry.browsing.history import instruction, steps
from registry.browsing.shapes import Layer
from registry.oci.digest import Digest

LAYERS = tuple(Layer(Digest.of(text), "application/x.layer", 1) for text in (b"1", b"2"))


@pytest.mark.parametrize(
    ("created_by", "line"),
    [
        ('/bin/sh -c #(nop)  CMD ["nginx" "-g"]', 'CMD ["nginx" "-g"]'),
        ("/bin/sh -c #(nop) ADD file:1f4eb46669b5b6275af19eb7 in / ", "ADD file:1f4eb46669b5b6275af19eb7 in /"),
        (
            "/bin/sh -c apt update &&     apt install -y curl",
            "RUN apt update &&     apt install -y curl",
        ),
        ("|2 A=1 B=two words /bin/sh -c make $A", "RUN make $A"),
        ("RUN /bin/sh -c pip install flask # buildkit", "RUN pip install flask"),
        ("RUN |1 VERSION=3.2 /bin/sh -c make # buildkit", "RUN make"),
        ("RUN /bin/bash -o pipefail -c make # buildkit", "RUN /bin/bash -o pipefail -c make"),
        ("RUN |1 A=1 /bin/bash -c make # buildkit", "RUN |1 A=1 /bin/bash -c make"),
        ("COPY . /app # buildkit", "COPY . /app"),
        ("ENV PATH=/usr/bin", "ENV PATH=/usr/bin"),
        ("RUN /bin/sh -c echo /bin/sh -c x # buildkit", "RUN echo /bin/sh -c x"),
        ("bazel build ...", "bazel build ..."),
        ("RUN", "RUN"),
        ("", ""),
    ],
)
def test_what_build_tools_write_is_shown_as_the_line_that_it_was(created_by: str, line: str) -> None:
    assert instruction(created_by) == line


def test_each_line_has_the_layer_that_it_made() -> None:
    history = [
        {"created_by": "ADD rootfs /", "created": "2024-01-01T00:00:00Z"},
        {"created_by": "ENV A=1", "empty_layer": True, "comment": "buildkit.dockerfile.v0"},
        {"created_by": "RUN /bin/sh -c make # buildkit"},
    ]
    first, second, third = steps(history, LAYERS, Shown())
    assert (first.instruction, first.layer, first.created) == ("ADD rootfs /", LAYERS[0], "2024-01-01T00:00:00Z")
    assert (second.instruction, second.layer, second.comment) == ("ENV A=1", None, "buildkit.dockerfile.v0")
    assert (third.instruction, third.layer) == ("RUN make", LAYERS[1])


@pytest.mark.parametrize("history", [None, [], {}, "x", 3])
def test_an_image_without_history_has_its_layers(history: object) -> None:
    assert [(step.instruction, step.layer) for step in steps(history, LAYERS, Shown())] == [
        ("", LAYERS[0]),
        ("", LAYERS[1]),
    ]


def test_layers_that_no_line_tells_of_come_last() -> None:
    found = steps([{"created_by": "ADD a /"}], LAYERS, Shown())
    assert [(step.instruction, step.layer) for step in found] == [("ADD a /", LAYERS[0]), ("", LAYERS[1])]


def test_lines_for_which_no_layer_is_left_have_none() -> None:
    found = steps([{"created_by": f"ADD {number} /"} for number in range(3)], LAYERS, Shown())
    assert [step.layer for step in found] == [*LAYERS, None]


def test_what_is_not_a_line_takes_a_layer_all_the_same() -> None:
    found = steps([None, {"created_by": 3, "empty_layer": "true"}], LAYERS, Shown())
    assert [(step.instruction, step.layer) for step in found] == [("", LAYERS[0]), ("", LAYERS[1])]
