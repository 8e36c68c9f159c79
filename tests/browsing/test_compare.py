"""How two manifests differ."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from registry.browsing.compare import Change, Line, compare, compare_layers, compare_packages, platforms
from registry.browsing.sbom import Bill, Package
from registry.browsing.shapes import Config, Details, Layer, Step, Variant
from registry.oci import media_types
from registry.oci.digest import Digest
from tests.content import LAYER_TYPE


def _layer(content: str) -> Layer:
    return Layer(Digest.of(content.encode()), LAYER_TYPE, len(content))


def _image(*layers: str, total: int | None = 0, config: Config | None = None) -> Details:
    """Return an image of `layers`."""
    return Details(
        "app",
        Digest.of("".join(layers).encode()),
        "image",
        media_types.OCI_MANIFEST,
        size=1,
        total=total,
        layers=tuple(map(_layer, layers)),
        config=config,
        steps=tuple(Step(f"COPY {layer}", _layer(layer)) for layer in layers),
    )


def test_layers_that_are_the_same_at_the_beginning_are_the_base() -> None:
    found = compare_layers([*map(_layer, ("a", "b", "c", "d"))], [*map(_layer, ("a", "b", "longer", "d"))])

    assert [*map(list, (found.base, found.kept, found.removed, found.added))] == [
        [_layer("a"), _layer("b")],
        [_layer("d")],
        [_layer("c")],
        [_layer("longer")],
    ]
    assert found.to_pull == len("longer")


def test_a_manifest_does_not_differ_from_itself() -> None:
    found = compare(_image("a", config=Config(user="app")), _image("a", config=Config(user="app")))

    assert found.is_same
    assert (found.config, found.environment, found.labels, found.growth) == ((), (), (), 0)
    assert {line.side for line in found.history} == {"both"}


def test_growth_is_not_known_where_a_size_is_not() -> None:
    assert compare(_image("a", total=5), _image("b", total=None)).growth is None
    assert compare(_image("a", total=5), _image("b", total=3)).growth == -2


def test_settings_that_came_went_or_changed_are_told_by_name() -> None:
    before = replace(
        _image("a"), config=Config(user="root", entrypoint=("/run", "-v"), environment=("A=1", "B=2", "C"))
    )
    after = replace(
        _image("a"), config=Config(entrypoint=("/run",), stop_signal="SIGINT", environment=("B=3=4", "C", "D="))
    )
    found = compare(replace(before, labels={"v": "1"}), replace(after, labels={"v": "2"}))

    assert set(found.config) == {
        Change("user", "root", None),
        Change("entrypoint", "/run\n-v", "/run"),
        Change("stop signal", None, "SIGINT"),
    }
    assert found.environment == (Change("A", "1", None), Change("B", "2", "3=4"), Change("D", None, ""))
    assert found.labels == (Change("v", "1", "2"),)


def test_history_has_what_is_common_around_what_is_not() -> None:
    assert compare(_image("a", "b", "z"), _image("a", "c", "d", "z")).history == (
        Line("both", "COPY a"),
        Line("before", "COPY b"),
        Line("after", "COPY c"),
        Line("after", "COPY d"),
        Line("both", "COPY z"),
    )


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_each_side_of_the_history_is_the_history_of_that_image(before: list[str], after: list[str]) -> None:
    history = compare(_image(*before), _image(*after)).history

    assert [line.text for line in history if line.side != "after"] == [f"COPY {each}" for each in before]
    assert [line.text for line in history if line.side != "before"] == [f"COPY {each}" for each in after]


@given(st.lists(st.sampled_from("abcd")), st.lists(st.sampled_from("abcd")))
def test_every_layer_is_told_of(before: list[str], after: list[str]) -> None:
    found = compare_layers([*map(_layer, before)], [*map(_layer, after)])

    assert sorted([*found.base, *found.kept, *found.added], key=str) == sorted(map(_layer, after), key=str)
    assert {*found.removed} == {*map(_layer, before)} - {*map(_layer, after)}


def test_packages_that_came_went_or_changed_are_told() -> None:
    before = Bill(
        "SPDX 2.3", "", "", (), (Package("zlib", "1", "pkg:deb/zlib@1"), Package("gone", "1"), Package("x", "1"))
    )
    after = Bill(
        "CycloneDX 1.6",
        "",
        "",
        (),
        (
            Package("zlib", "2", "pkg:deb/zlib@2?arch=arm64"),
            Package("zlib", "1", "pkg:deb/zlib@1"),
            Package("new"),
            Package("x", "1"),
        ),
        cut=True,
    )
    found = compare_packages(before, after)

    assert found.changes == (Change("gone", "1", None), Change("new", None, ""), Change("zlib", "1", "1, 2"))
    assert (found.same, found.cut) == (1, True)


def test_platforms_are_those_of_images_that_are_here() -> None:
    here = Variant(Digest.of(b"1"), media_types.OCI_MANIFEST, 1, "linux/amd64")
    variants = (
        here,
        replace(here, platform="linux/arm64", is_here=False),
        replace(here, platform="", is_attestation=True),
        replace(here, platform="linux/s390x"),
        here,
    )
    assert platforms(replace(_image(), variants=variants)) == ("linux/amd64", "linux/s390x")
