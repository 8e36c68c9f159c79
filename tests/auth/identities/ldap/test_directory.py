from __future__ import annotations

import logging
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from auth.identities.ldap.settings import parse_directories
from auth.identities.members import SourceDownError
from tests.auth.directories import PEOPLE, needs_slapd

if TYPE_CHECKING:
    from collections.abc import Iterator

    from auth.identities.ldap.directory import Directory
    from tests.auth.directories import DirectoryServer

pytestmark = needs_slapd

NOWHERE = "ldap://127.0.0.1:1"


def directory_of(server: DirectoryServer, **more: object) -> Directory:
    from auth.identities.ldap.directory import Directory  # noqa: PLC0415  it needs an extra

    return Directory(parse_directories([server.parameters(**more)])[0])


@contextmanager
def silent_server() -> Iterator[str]:
    """Listen, and say nothing to whoever comes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


class TestPasswords:
    def test_who_has_the_password_is_who_the_entry_says(self, server: DirectoryServer) -> None:
        server.add_person("alice", "wonderland")

        member = directory_of(server).proven("ALICE", b"wonderland")

        assert member is not None
        assert (member.user, member.owner, member.known_as) == ("alice", "ldap:corp", "ALICE")

    def test_wrong_and_unknown_are_nobody(self, server: DirectoryServer) -> None:
        server.add_person("alice", "wonderland")
        directory = directory_of(server)

        assert directory.proven("alice", b"wonderlan") is None
        assert directory.proven("bob", b"wonderland") is None

    def test_an_empty_password_is_refused_before_the_directory_would_take_it_for_nobodys(
        self, server: DirectoryServer
    ) -> None:
        server.add_person("alice", "wonderland")

        assert directory_of(server, servers=[NOWHERE]).proven("alice", b"") is None

    @pytest.mark.parametrize("user", ["*", "al*", "alice)(uid=*", "*)(|(uid=*", "alice\\2a", "(uid=alice)", "\\"])
    def test_what_a_filter_would_understand_is_text_in_a_name(self, server: DirectoryServer, user: str) -> None:
        server.add_person("alice", "wonderland")
        directory = directory_of(server)

        assert directory.proven(user, b"wonderland") is None
        assert directory.proven("alice", b"wonderland") is not None

    @pytest.mark.parametrize("user", ["o'hara, x=1", 'a"b', "a*b", "a(b)", "ä ö", "a\\b", "a+b;c", "#a", "a/b"])
    def test_people_with_odd_names_log_in(self, server: DirectoryServer, user: str) -> None:
        server.add_person(user, "wonderland")

        member = directory_of(server).proven(user, b"wonderland")

        assert member is not None
        assert member.user == user

    def test_nothing_that_is_sent_as_a_name_or_password_is_more_than_wrong(self, server: DirectoryServer) -> None:
        server.add_person("alice", "wonderland")
        directory = directory_of(server)

        @settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
        @given(st.text(max_size=300), st.binary(max_size=40))
        def check(user: str, password: bytes) -> None:
            assert directory.proven(user, password) is None

        check()

    def test_of_several_entries_for_one_name_none_is_let_in(
        self, server: DirectoryServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        for uid in ("one", "two", "three"):
            server.add_person(uid, "wonderland", "shared")
        directory = directory_of(server)

        with caplog.at_level(logging.WARNING):
            assert directory.proven("shared", b"wonderland") is None
        assert "several users who log in as 'shared'" in caplog.text

    def test_somebody_with_two_names_always_has_the_same(self, server: DirectoryServer) -> None:
        server.add_person("zoe", "wonderland", "anna")
        directory = directory_of(server)

        found = {member.user for name in ("zoe", "anna") if (member := directory.proven(name, b"wonderland"))}

        assert found == {"anna"}


class TestGroups:
    def test_groups_are_those_that_the_map_leads_to(self, server: DirectoryServer) -> None:
        alice = server.add_person("alice", "wonderland")
        server.add_group("Registry-Devs", alice)
        server.add_group("ops", alice)

        member = directory_of(server).proven("alice", b"wonderland")

        assert member is not None
        assert member.groups == {"dev"}

    def test_members_of_a_group_are_members_of_its_groups_even_in_a_circle(self, server: DirectoryServer) -> None:
        alice = server.add_person("alice", "wonderland")
        inner = server.add_group("inner", alice)
        middle = server.add_group("middle", inner)
        outer = server.add_group("registry-devs", middle)
        server.set_members(inner, alice, outer)

        nested = directory_of(server).proven("alice", b"wonderland")
        groups = {**server.parameters()["groups"], "nested": False}
        flat = directory_of(server, groups=groups).proven("alice", b"wonderland")

        assert nested is not None
        assert nested.groups == {"dev"}
        assert flat is not None
        assert flat.groups == frozenset()

    def test_a_wide_tree_of_groups_is_asked_about_many_at_a_time(self, server: DirectoryServer) -> None:
        alice = server.add_person("alice", "wonderland")
        inner = [server.add_group(f"team{number}", alice) for number in range(70)]
        server.add_group("registry-devs", inner[-1])

        member = directory_of(server).proven("alice", b"wonderland")

        assert member is not None
        assert member.groups == {"dev"}


class TestServers:
    def test_a_dead_server_is_passed_over_for_the_next(self, server: DirectoryServer) -> None:
        server.add_person("alice", "wonderland")

        assert directory_of(server, servers=[NOWHERE, server.secure_url]).proven("alice", b"wonderland") is not None

    def test_a_silent_server_costs_its_timeout_once(self, server: DirectoryServer) -> None:
        server.add_person("alice", "wonderland")
        with silent_server() as address:
            servers = [f"ldaps://{address}", f"ldap://{address}", server.secure_url]
            directory = directory_of(server, servers=servers, timeout="300ms")
            start = time.monotonic()
            assert directory.proven("alice", b"wonderland") is not None
            first = time.monotonic() - start
            for _ in range(10):
                assert directory.proven("alice", b"wonderland") is not None

            assert time.monotonic() - start - first < first

    def test_where_all_are_dead_the_error_says_what_each_has_to_say(self, server: DirectoryServer) -> None:
        directory = directory_of(server, servers=[NOWHERE, server.secure_url])
        server.stop()

        with pytest.raises(SourceDownError, match=rf"corp does not answer: {NOWHERE}: .*; {server.secure_url}: "):
            directory.proven("alice", b"wonderland")

    def test_a_certificate_that_nobody_vouches_for_is_refused(
        self, server: DirectoryServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LDAPTLS_REQCERT", "never")
        server.add_person("alice", "wonderland")

        with pytest.raises(SourceDownError, match="certificate verify failed"):
            directory_of(server, cafile="").proven("alice", b"wonderland")

    def test_a_certificate_of_another_host_is_refused(self, server: DirectoryServer) -> None:
        server.add_person("alice", "wonderland")
        elsewhere = server.secure_url.replace("127.0.0.1", "127.0.0.2")

        with pytest.raises(SourceDownError, match=r"not valid for '127\.0\.0\.2'"):
            directory_of(server, servers=[elsewhere]).proven("alice", b"wonderland")

    def test_a_wrong_password_of_the_registry_is_an_error_and_not_the_users_fault(
        self, server: DirectoryServer
    ) -> None:
        server.add_person("alice", "wonderland")
        directory = directory_of(server)
        (server.directory / "reader").write_text("old secret\n")

        with pytest.raises(SourceDownError, match="Invalid credentials"):
            directory.proven("alice", b"wonderland")

    def test_a_new_password_of_the_registry_is_read_without_a_restart(self, server: DirectoryServer) -> None:
        server.add_person("alice", "wonderland")
        directory = directory_of(server)
        reader, wrong = (server.directory / "reader").read_text(), "wrong"
        (server.directory / "reader").write_text(wrong)
        with pytest.raises(SourceDownError):
            directory.proven("alice", b"wonderland")

        (server.directory / "reader").write_text(reader)

        assert directory.proven("alice", b"wonderland") is not None


class TestRenewal:
    def test_who_left_the_directory_or_the_filter_is_gone(self, server: DirectoryServer) -> None:
        alice = server.add_person("alice", "wonderland")
        directory = directory_of(server)
        member = directory.proven("alice", b"wonderland")
        assert member is not None
        assert directory.renewed(member, lambda: None) is not None

        users = {**server.parameters()["users"], "filter": "(&(uid={user})(title=engineer))"}
        assert directory_of(server, users=users).renewed(member, lambda: None) is None

        server.delete(alice)
        assert directory.renewed(member, lambda: None) is None

    def test_groups_follow_the_directory(self, server: DirectoryServer) -> None:
        alice = server.add_person("alice", "wonderland")
        group = server.add_group("registry-devs", alice)
        directory = directory_of(server)
        member = directory.proven("alice", b"wonderland")
        assert member is not None

        server.set_members(group, f"uid=bob,{PEOPLE}")

        renewed = directory.renewed(member, lambda: None)
        assert renewed is not None
        assert renewed.groups == frozenset()
