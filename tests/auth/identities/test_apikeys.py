"""API keys that users make for themselves, in a file and in the storage, and what a limited key may do."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from auth.base import MAINTENANCE, Access, ControllerError, DeniedError, Grant, Key, UnauthorizedError
from auth.controllers.local import LocalController
from auth.identities.apikeys import ApiKeyStore
from auth.identities.key_file import KeyFile
from auth.identities.key_records import KeyRecords
from auth.identities.logouts import SEEN_SECONDS
from auth.identities.own_keys import MOST_KEYS, OwnKeys
from drivers.inmemory import InMemoryDriver
from registry.foundation.errors import ParameterError
from registry.storage.records import StorageRecords
from tests.auth.asking import CATALOG, basic, challenge, on, request
from tests.auth.files import Clock, line
from tests.drivers.failing import FailingDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from auth.base import Keys
    from auth.identities.apikeys import Place

RULES = [
    {"repositories": "team/**", "user:alice": ["*"], "user:bob": ["pull"]},
    {"repositories": "public/**", "anonymous": ["pull"], "authenticated": ["*"]},
]
WISHED = Key("", "", "laptop", 0, None)
DAY = 86400


@pytest.fixture
def driver() -> FailingDriver:
    return FailingDriver(InMemoryDriver(), fail_at=0)


@pytest.fixture(params=["file", "storage"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "storage" if request.param == "storage" else str(tmp_path / "keys.json")


@pytest.fixture
def parameters(tmp_path: Path, place: str) -> dict[str, Any]:
    (tmp_path / "htpasswd").write_text(line("alice", "wonderland") + line("bob", "builder"))
    return {
        "htpasswd": str(tmp_path / "htpasswd"),
        "rules": RULES,
        "maintainers": ["user:alice"],
        "apikeys": place,
    }


@pytest.fixture
def made(parameters: dict[str, Any], driver: FailingDriver) -> Callable[..., LocalController]:
    """Make a controller of one more host."""

    def make(*, read_only: bool = False, **changed: object) -> LocalController:
        controller = LocalController.from_parameters({**parameters, **changed})
        controller.keep(StorageRecords(driver, read_only=read_only))
        return controller

    return make


@pytest.fixture
def controller(made: Callable[..., LocalController]) -> LocalController:
    return made()


@pytest.fixture
def keys(controller: LocalController) -> Keys:
    assert controller.keys
    return controller.keys


@pytest.fixture
def alice(controller: LocalController) -> Grant:
    assert controller.sign_in
    return controller.sign_in.log_in(request(), "alice", b"wonderland")


class TestMaking:
    def test_a_key_is_a_password_and_is_listed(self, controller: LocalController, keys: Keys, alice: Grant) -> None:
        key, text = keys.create(alice, WISHED)
        assert controller.authorize(request(basic("alice", text)), on("team/a", "push")).user == "alice"
        (listed,) = keys.of("alice")
        assert (listed.id, listed.user, listed.name, listed.expires) == (key.id, "alice", "laptop", None)
        assert listed.created == pytest.approx(time.time(), abs=60)
        assert keys.of("bob") == []

    def test_the_newest_is_listed_first(self, keys: Keys, alice: Grant) -> None:
        made = [keys.create(alice, replace(WISHED, name=name))[0] for name in ("one", "two", "three")]
        listed = keys.of("alice")
        assert {key.id for key in listed} == {key.id for key in made}
        assert [key.created for key in listed] == sorted((key.created for key in listed), reverse=True)

    def test_what_is_wished_is_what_is_made(self, keys: Keys, alice: Grant) -> None:
        expires = int(time.time()) + DAY
        wished = replace(WISHED, expires=expires, repositories=("team/*", "**/cache"), actions=("pull", "push"))
        made, _ = keys.create(alice, wished)
        assert made == keys.of("alice")[0]
        assert (made.expires, made.repositories, made.actions) == (expires, ("team/*", "**/cache"), ("pull", "push"))

    def test_the_id_the_user_and_the_times_that_are_wished_are_not_what_is_made(self, keys: Keys, alice: Grant) -> None:
        made, _ = keys.create(alice, Key("0" * 12, "bob", "n", 7, None, used=7))
        assert (made.id, made.user, made.created, made.used) != ("0" * 12, "bob", 7, 7)
        assert made.user == "alice"
        assert made.used is None

    @pytest.mark.parametrize(
        "changed",
        [
            *({"name": "x" * 101}, {"name": "a\nb"}, {"name": " a"}, {"name": "a\x1b[31m"}),
            *({"repositories": ("a b",)}, {"repositories": ("a**",)}, {"repositories": ("",)}),
            *({"repositories": ("a",) * 51}, {"repositories": ("a" * 256,)}),
            *({"actions": ("fly",)}, {"actions": ("push",)}, {"actions": ("pull", "overwrite")}),
            *({"expires": 1}, {"expires": int(time.time()) - 1}),
        ],
    )
    def test_what_is_malformed_is_refused(self, keys: Keys, alice: Grant, changed: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            keys.create(alice, replace(WISHED, **changed))
        assert keys.of("alice") == []

    @pytest.mark.parametrize("proof", ["", "key:0123456789ab", "oidc:https://ci.example"])
    def test_only_a_password_makes_keys(self, keys: Keys, proof: str) -> None:
        with pytest.raises(DeniedError, match="who send their password"):
            keys.create(Grant("alice", proof), WISHED)

    def test_a_key_makes_no_keys(self, controller: LocalController, keys: Keys, alice: Grant) -> None:
        _, text = keys.create(alice, WISHED)
        with pytest.raises(DeniedError):
            keys.create(controller.authorize(request(basic("alice", text)), []), WISHED)

    def test_there_is_a_limit_to_how_long_a_key_lasts(self, made: Callable[..., LocalController]) -> None:
        keys = made(apikeylifetime="90d").keys
        assert keys
        assert keys.longest_seconds == 90 * DAY
        alice, now = Grant("alice", "password:x"), int(time.time())
        keys.create(alice, replace(WISHED, expires=now + 90 * DAY))
        for expires in (None, now + 91 * DAY):
            with pytest.raises(DeniedError, match="90 days at most"):
                keys.create(alice, replace(WISHED, expires=expires))

    def test_a_limit_that_is_no_duration_stops_the_start(self, made: Callable[..., LocalController]) -> None:
        with pytest.raises(ParameterError, match=r"^apikeylifetime: must be a duration"):
            made(apikeylifetime="soon")

    def test_there_is_a_limit_to_how_many(self, driver: FailingDriver) -> None:
        place = KeyRecords()
        place.keep(StorageRecords(driver))
        keys = OwnKeys(place, lambda _: True)
        for _ in range(MOST_KEYS):
            keys.create(Grant("alice", "password:x"), WISHED)
        with pytest.raises(DeniedError, match="alice has 100 API keys, which is the most; revoke one first"):
            keys.create(Grant("alice", "password:x"), WISHED)
        keys.create(Grant("bob", "password:x"), WISHED)
        assert keys.revoke("alice", keys.of("alice")[0].id)
        keys.create(Grant("alice", "password:x"), WISHED)


class TestRevoking:
    def test_what_a_revoked_key_has_logged_in_is_out_at_once(
        self, controller: LocalController, keys: Keys, alice: Grant
    ) -> None:
        key, text = keys.create(alice, WISHED)
        assert controller.token_service
        asked = {"scope": ["repository:team/a:pull"]}
        token = controller.token_service.issue(request(basic("alice", text)), asked).members["token"]
        controller.authorize(request(f"Bearer {token}"), on("team/a", "pull"))
        assert keys.revoke("alice", key.id)
        assert not keys.revoke("alice", key.id)
        challenge(controller, request(basic("alice", text)))
        assert "invalid_token" in challenge(controller, request(f"Bearer {token}"))
        assert keys.of("alice") == []

    def test_nobody_revokes_keys_of_others(self, controller: LocalController, keys: Keys, alice: Grant) -> None:
        key, text = keys.create(alice, WISHED)
        assert not keys.revoke("bob", key.id)
        controller.authorize(request(basic("alice", text)), [])

    def test_a_key_ends_with_its_users_password(
        self, controller: LocalController, keys: Keys, alice: Grant, tmp_path: Path
    ) -> None:
        _, text = keys.create(alice, WISHED)
        (tmp_path / "htpasswd").write_text(line("bob", "builder"))
        challenge(controller, request(basic("alice", text)))

    def test_one_that_a_command_revokes_is_out(
        self, controller: LocalController, keys: Keys, alice: Grant, place: str, driver: FailingDriver
    ) -> None:
        key, text = keys.create(alice, WISHED)
        clock = Clock()
        there: Place = KeyRecords(clock) if place == "storage" else KeyFile(place)
        there.keep(StorageRecords(driver))
        store = ApiKeyStore(there)
        assert [each.id for each in store.list()] == [key.id]
        assert store.revoke(key.id)
        assert not store.revoke(key.id)
        assert there.find("alice", key.id) is None
        assert text
        assert controller.keys is keys


class TestLimits:
    @pytest.fixture
    def text(self, keys: Keys, alice: Grant) -> str:
        return keys.create(alice, replace(WISHED, repositories=("team/a", "public/*"), actions=("pull", "push")))[1]

    def test_a_limited_key_may_do_no_more_than_it_says(self, controller: LocalController, text: str) -> None:
        asked = request(basic("alice", text))
        controller.authorize(asked, on("team/a", "pull", "push"))
        controller.authorize(asked, CATALOG)
        for accesses in (
            *(on("team/a", "overwrite"), on("team/a", "delete"), on("team/a", "untag"), on("team/b", "pull")),
            *(on("team/a/b", "pull"), [Access("registry", MAINTENANCE, "*")]),
        ):
            with pytest.raises(DeniedError, match="with this API key, which is limited"):
                controller.authorize(asked, accesses)

    def test_nor_what_its_user_may_not(self, controller: LocalController, keys: Keys) -> None:
        _, text = keys.create(Grant("bob", "password:x"), replace(WISHED, actions=("pull", "push")))
        with pytest.raises(DeniedError, match="bob may not push team/a: rule 1"):
            controller.authorize(request(basic("bob", text)), on("team/a", "push"))

    def test_tokens_made_from_it_are_limited_as_it_is(self, controller: LocalController, text: str) -> None:
        assert controller.token_service
        scopes = ["repository:team/a:pull,push,delete", "repository:team/b:pull", "registry:maintenance:*"]
        form = {"grant_type": ["password"], "username": ["alice"], "password": [text], "scope": scopes}
        members = controller.token_service.exchange(request(), form).members
        assert members["scope"] == "repository:team/a:pull,push"
        bearer = request(f"Bearer {members['access_token']}")
        controller.authorize(bearer, on("team/a", "push"))
        for accesses in (on("team/a", "overwrite"), on("team/b", "pull")):
            with pytest.raises(DeniedError):
                controller.authorize(bearer, accesses)

    def test_its_catalog_shows_what_can_be_pulled_with_it(self, controller: LocalController, text: str) -> None:
        grant = controller.authorize(request(basic("alice", text)), CATALOG)
        names = ["team/a", "team/b", "public/a", "public/a/b", "other"]
        assert [name for name in names if controller.lists(grant, name)] == ["team/a", "public/a"]

    def test_that_it_is_limited_is_explained(self, controller: LocalController, text: str) -> None:
        grant = controller.authorize(request(basic("alice", text)), [])
        explained = controller.explain(grant, *on("team/b", "pull"))
        assert explained == "alice may not pull team/b with this API key, which is limited"
        assert "rule 1 (team/**) grants it to user:alice" in controller.explain(grant, *on("team/a", "pull"))

    def test_a_key_of_a_pusher_untags_with_overwrite_and_of_others_with_delete(
        self, controller: LocalController, keys: Keys, alice: Grant
    ) -> None:
        _, deleting = keys.create(alice, replace(WISHED, actions=("pull", "delete")))
        controller.authorize(request(basic("alice", deleting)), on("team/a", "delete", "untag"))
        _, overwriting = keys.create(alice, replace(WISHED, actions=("pull", "push", "overwrite", "delete")))
        controller.authorize(request(basic("alice", overwriting)), on("team/a", "delete", "untag"))

    def test_one_with_all_actions_is_not_limited(self, keys: Keys, alice: Grant) -> None:
        for actions in (("*",), ("pull", "push", "overwrite", "delete")):
            assert keys.create(alice, replace(WISHED, actions=actions))[0].actions == ()


class TestLastUse:
    def test_the_day_of_the_last_use_is_remembered(self, controller: LocalController, keys: Keys, alice: Grant) -> None:
        _, text = keys.create(alice, WISHED)
        assert keys.of("alice")[0].used is None
        controller.authorize(request(basic("alice", text)), [])
        wait_until(lambda: keys.of("alice")[0].used is not None)
        used = keys.of("alice")[0].used
        assert used is not None
        assert used % DAY == 0
        assert time.time() - used < 2 * DAY

    def test_it_is_written_once_a_day(self, driver: FailingDriver, keys: Keys, controller: LocalController) -> None:
        _, text = keys.create(Grant("alice", "password:x"), WISHED)
        controller.authorize(request(basic("alice", text)), [])
        wait_until(lambda: keys.of("alice")[0].used is not None)
        before = driver.calls
        for _ in range(50):
            controller.authorize(request(basic("alice", text)), [])
        assert driver.calls - before <= 4

    def test_a_read_only_registry_takes_keys_and_remembers_nothing(
        self, made: Callable[..., LocalController], keys: Keys, alice: Grant, place: str
    ) -> None:
        _, text = keys.create(alice, WISHED)
        controller = made(read_only=True)
        for _ in range(3):
            controller.authorize(request(basic("alice", text)), [])
        if place == "storage":
            assert controller.keys
            with pytest.raises(ControllerError, match="read-only"):
                controller.keys.create(alice, WISHED)
            with pytest.raises(ControllerError, match="read-only"):
                controller.keys.revoke("alice", keys.of("alice")[0].id)


class TestInTheStorage:
    @pytest.fixture
    def place(self) -> str:
        return "storage"

    def test_all_hosts_take_a_key_at_once_and_refuse_it_within_seconds_of_its_end(self, driver: FailingDriver) -> None:
        clock, records = Clock(), StorageRecords(driver)
        here, there = KeyRecords(clock), KeyRecords(clock)
        for each in (here, there):
            each.keep(records)
        key, _ = ApiKeyStore(here).create("alice", None)
        assert there.find("alice", key.id) == here.find("alice", key.id) == key
        here.remove(key)
        assert here.find("alice", key.id) is None
        clock.now += SEEN_SECONDS
        assert there.find("alice", key.id) is None
        assert SEEN_SECONDS <= 10

    def test_a_key_is_read_once_in_some_seconds(self, driver: FailingDriver) -> None:
        clock, place = Clock(), KeyRecords()
        place = KeyRecords(clock)
        place.keep(StorageRecords(driver))
        key, _ = ApiKeyStore(place).create("alice", None, bound=True)
        before = driver.calls
        for _ in range(100):
            assert place.find("alice", key.id)
        assert driver.calls - before == 1

    def test_a_use_at_the_same_time_does_not_bring_a_revoked_key_back(self, driver: FailingDriver) -> None:
        place = KeyRecords()
        place.keep(StorageRecords(driver))
        key, _ = ApiKeyStore(place).create("alice", None)
        place.remove(key)
        place.touch(key, DAY)
        place.bind([key])
        other = KeyRecords()
        other.keep(StorageRecords(driver))
        assert other.find("alice", key.id) is None
        assert list(other.all()) == []

    def test_one_of_a_user_who_gets_a_password_later_ends_with_it(
        self, made: Callable[..., LocalController], tmp_path: Path, driver: FailingDriver
    ) -> None:
        place = KeyRecords()
        place.keep(StorageRecords(driver))
        _, text = ApiKeyStore(place).create("robot", None)
        controller, who = made(), request(basic("robot", text))
        assert controller.authorize(who, []).user == "robot"
        with_robot = line("alice", "wonderland") + line("robot", "r2")
        (tmp_path / "htpasswd").write_text(with_robot)
        assert controller.authorize(who, []).user == "robot"
        (tmp_path / "htpasswd").write_text(line("alice", "wonderland"))
        for each in (controller, made()):
            challenge(each, who)

    def test_no_secret_is_in_the_storage(self, keys: Keys, alice: Grant, driver: FailingDriver) -> None:
        _, text = keys.create(alice, WISHED)
        secret = text.rpartition("_")[2].encode()
        contents = [content for _, content in StorageRecords(driver).contents("keys")]
        assert len(contents) == 1
        assert not any(secret in content for content in contents)

    @pytest.mark.parametrize("content", [b"", b"{}", b"[]", b"7", b'{"id": 7}', b"\xff", b"[" * 60_000], ids=range(7))
    def test_a_broken_record_is_no_key_and_does_not_hide_the_others(
        self, controller: LocalController, keys: Keys, alice: Grant, driver: FailingDriver, content: bytes
    ) -> None:
        key, text = keys.create(alice, WISHED)
        other, _ = keys.create(alice, WISHED)
        records = StorageRecords(driver)
        (name,) = (name for name in records.names("keys") if name.endswith(key.id))
        records.put(name, content)
        challenge(controller, request(basic("alice", text)))
        assert [each.id for each in keys.of("alice")] == [other.id]

    def test_a_record_that_was_copied_to_another_user_is_none(
        self, controller: LocalController, keys: Keys, alice: Grant, driver: FailingDriver
    ) -> None:
        key, text = keys.create(alice, WISHED)
        bobs, _ = keys.create(Grant("bob", "password:x"), WISHED)
        records = StorageRecords(driver)
        names = {name.rpartition("/")[2]: name for name in records.names("keys")}
        content = records.get(names[key.id])
        assert content
        records.put(f"{names[bobs.id].rpartition('/')[0]}/{key.id}", content)
        challenge(controller, request(basic("bob", text)))

    def test_while_the_storage_does_not_answer_keys_cannot_be_told(
        self, controller: LocalController, keys: Keys, alice: Grant, driver: FailingDriver
    ) -> None:
        _, text = keys.create(alice, WISHED)
        driver.fail_from_now_on()
        with pytest.raises(ControllerError):
            controller.authorize(request(basic("alice", text)), [])
        assert controller.authorize(request(basic("alice", "wonderland")), []).user == "alice"

    def test_a_path_that_is_no_id_is_not_asked_for(self, controller: LocalController, driver: FailingDriver) -> None:
        before = driver.calls
        for text in ("regkey_../x_y", "regkey_ABCDEFABCDEF_y", "regkey_" + "a" * 5000):
            with pytest.raises(UnauthorizedError):
                controller.authorize(request(basic("alice", text)), [])
        assert driver.calls == before


class TestInAFile:
    @pytest.fixture
    def place(self, tmp_path: Path) -> str:
        return str(tmp_path / "keys.json")

    def test_an_older_registry_reads_keys_with_names_and_overlooks_those_that_are_limited(
        self, keys: Keys, alice: Grant, place: str
    ) -> None:
        named, _ = keys.create(alice, WISHED)
        limited, _ = keys.create(alice, replace(WISHED, actions=("pull",)))
        document = json.loads(Path(place).read_text())
        assert [(entry["id"], sorted(entry)) for entry in document["keys"]] == [
            (named.id, ["created", "expires", "id", "sha256", "user"])
        ]
        assert limited.id in json.dumps(document)
        assert {key.id: (key.name, key.actions) for key in keys.of("alice")} == {
            named.id: ("laptop", ()),
            limited.id: ("laptop", ("pull",)),
        }

    def test_a_broken_file_is_told_to_who_lists_or_makes_keys(self, keys: Keys, alice: Grant, place: str) -> None:
        Path(place).write_text("{")
        for ask in (lambda: keys.of("alice"), lambda: keys.create(alice, WISHED), lambda: keys.revoke("alice", "x")):
            with pytest.raises(ControllerError):
                ask()


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)
