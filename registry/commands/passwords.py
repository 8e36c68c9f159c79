"""Asking for a password where somebody can type it."""

from __future__ import annotations

import getpass
import warnings

import click


def ask_password(instead: str, *, twice: bool = False, err: bool = False) -> str:
    """Return what is typed, `twice` so that it is as meant; `err` puts the question to stderr.

    Raises:
        ClickException: there is no terminal, on which it would not be seen; the text says to give it `instead`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=twice, err=err)
        except getpass.GetPassWarning as error:
            raise click.ClickException(f"there is no terminal to ask for the password: give {instead}") from error
    return answer
