"""The virtual environment of a checkout, for the Makefile: made, completed, and made anew where it is broken.

``python3 deploy/environment.py .venv/bin/.test test`` installs the registry with its extra ``test`` into ``.venv``,
unless ``.venv/bin/.test`` says that this was done. It needs nothing but the standard library.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

_PROJECT: Final = Path(__file__).parents[1]
_UNFINISHED: Final = ".unfinished"
"""A file in an environment while something is installed into it."""
_LOG: Final = "install.log"
_CLEAR: Final = "\r\x1b[K"
_SIGINT_STATUS: Final = 130
_TICK_SECONDS: Final = 0.2

_INDEX: Final = "check the network, or set PIP_INDEX_URL to a mirror, or HTTPS_PROXY to a proxy"
_BUILT: Final = "{package} has no wheel for this platform and has to be compiled: install"
_XCODE: Final = "macOS: xcode-select --install"
_NO_ROUTE: Final = "NameResolutionError|NewConnectionError|ConnectTimeout|ReadTimeout|ProxyError|Max retries exceeded"
_PROGRAM: Final = r"(command|execute|No such file or directory:) '[^']*"
_NO_CPP: Final = rf"{_PROGRAM}(g|c|clang)\+\+[^']*'"
_NO_C: Final = rf"{_PROGRAM}(cc|clang)[^']*'|Python\.h: No such file|'Python\.h' file not found"
_REMEDIES: Final = (
    ("No space left on device|Disk quota exceeded", "the disk is full: make room in {venv} and in $TMPDIR or /tmp"),
    ("CERTIFICATE_VERIFY_FAILED", "the certificate of the package index is not trusted: set PIP_CERT to its authority"),
    (_NO_ROUTE, f"the package index cannot be reached: {_INDEX}"),
    ("Rust compiler|Rust toolchain|cargo.* not (installed|found)", f"{_BUILT} Rust"),
    (_NO_CPP, f"{_BUILT} a C++ compiler (Debian, Ubuntu: apt-get install g++ python3-dev; {_XCODE})"),
    (_NO_C, f"{_BUILT} a C compiler (Debian, Ubuntu: apt-get install gcc python3-dev; {_XCODE})"),
    ("No matching distribution found for .*", f"the package index lacks something ({{found}}): {_INDEX}"),
)
"""What pip may say, and what to do about it."""
_NOT_BUILT: Final = re.compile(r"(?:Failed building \S+ for|Failed to build|error: subprocess.* for) '?([\w.-]+)")
_STEP: Final = re.compile(
    r"^ *(Collecting|Downloading|Installing collected packages|Building (?:wheel|editable) for):? (\S+)", re.MULTILINE
)


class _EnvironmentError(Exception):
    """It cannot be made; the text says what to do."""


def prepare(stamp: Path, extras: str) -> None:
    """Install the registry with `extras`, which may be "", into the environment in whose ``bin`` `stamp` lies.

    Raises:
        _EnvironmentError: that is not possible.
    """
    venv = stamp.parent.parent
    reason = _reason_to_begin_anew(venv)
    if not reason and _is_newer(stamp, _PROJECT / "setup.cfg", _PROJECT / "pyproject.toml"):
        return
    if reason:
        _begin_anew(venv, reason)
    (venv / _UNFINISHED).touch()
    wanted = [*filter(None, [extras]), *(["fast"] if _can_compile(venv) else [])]
    _install(venv, f"{_PROJECT}[{','.join(wanted)}]" if wanted else str(_PROJECT))
    stamp.touch()


def _reason_to_begin_anew(venv: Path) -> str:
    """Return why what is in `venv` is of no use; "" if it is whole."""
    if not (venv / "pyvenv.cfg").exists():
        return "it is not there yet"
    if (venv / _UNFINISHED).exists():
        return "an installation was interrupted"
    script = venv / "bin" / "registry"
    interpreter = os.path.abspath(venv / "bin" / "python")  # noqa: PTH100  resolve() would follow the link to the system's
    if script.exists() and interpreter.encode() not in script.read_bytes():
        return "the checkout has moved"
    try:
        subprocess.run([interpreter, "-c", "import pip"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "its Python has changed, or it was not completed"
    return ""


def _can_compile(venv: Path) -> bool:
    """Tell whether extensions in C can be built for the Python of `venv`, as the extra "fast" wants it."""
    asked = "import sysconfig; print(sysconfig.get_config_var('CC')); print(sysconfig.get_path('include'))"
    said = subprocess.run([venv / "bin" / "python", "-c", asked], check=True, capture_output=True, text=True).stdout
    compiler, headers = said.splitlines()
    command = [*compiler.split(), "-fsyntax-only", f"-I{headers}", "-x", "c", "-"]
    try:
        return not subprocess.run(command, input=b"#include <Python.h>", capture_output=True, check=False).returncode
    except OSError:
        return False


def _is_newer(stamp: Path, *sources: Path) -> bool:
    return stamp.exists() and all(stamp.stat().st_mtime >= source.stat().st_mtime for source in sources)


def _begin_anew(venv: Path, reason: str) -> None:
    there = list(venv.iterdir()) if venv.exists() else []
    if there and not any(entry.name in {"pyvenv.cfg", _UNFINISHED} for entry in there):
        raise _EnvironmentError(f"{venv} is not a virtual environment: remove it, or name another with VENV=DIRECTORY")
    if there:
        _say(f"Making {venv} anew: {reason}.")
    venv.mkdir(parents=True, exist_ok=True)
    (venv / _UNFINISHED).touch()
    for entry in there:
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != _UNFINISHED:
            entry.unlink()
    command = [sys.executable, "-m", "venv", str(venv)]
    began = time.monotonic()
    with subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as making:
        while not _ends(making):
            _show(f"Making {venv}, {time.monotonic() - began:.0f} s")
        said = making.communicate()[0].strip()
    if making.returncode:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        if re.search(r"ensurepip|No module named '?venv", said):
            package = f"Debian, Ubuntu: apt-get install python{version}-venv"
            raise _EnvironmentError(f"Python {version} has no venv module: install it ({package})")
        _, _, last = said.rpartition("\n")
        raise _EnvironmentError(f"{venv} cannot be made: {last}")


def _install(venv: Path, what: str) -> None:
    began = time.monotonic()
    log = venv / _LOG
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--no-color", "--progress-bar", "off", "--editable", what]
    if not _is_terminal():
        _say(f"Installing into {venv}: the first time takes about half a minute.")
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT) as pip,
    ):
        try:
            while not _ends(pip):
                steps = _STEP.findall(log.read_text(errors="replace"))
                step = _spelled(*steps[-1]) if steps else "finding out what is needed"
                _show(f"Installing into {venv}, {time.monotonic() - began:.0f} s: {step}")
        except KeyboardInterrupt:
            pip.terminate()  # a terminal has told it as well; nothing else has
            raise
    if pip.returncode >= 0:
        # It was not killed. It installs nothing before it has everything, and undoes what fails.
        (venv / _UNFINISHED).unlink()
    if pip.returncode:
        raise _EnvironmentError(f"{_remedy(log.read_text(errors='replace'), venv)}\nAll that pip said is in {log}.")
    _say(f"Installed into {venv} in {time.monotonic() - began:.0f} s.")


def _ends(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> bool:
    """Wait for a moment, and tell whether `process` has ended."""
    try:
        process.wait(_TICK_SECONDS)
    except subprocess.TimeoutExpired:
        return False
    return True


def _spelled(step: str, what: str) -> str:
    name = re.split(r"[<>=!~;\[]", what.rpartition("/")[2])[0]
    return "installing what was downloaded" if step.startswith("Installing") else f"{step.lower()} {name}"


def _remedy(said: str, venv: Path) -> str:
    """Return in one line what to do about what pip `said`."""
    for pattern, remedy in _REMEDIES:
        found = re.search(pattern, said)
        if found:
            packages = [name for name in _NOT_BUILT.findall(said) if name != "installable"]
            return remedy.format(venv=venv, package=packages[0] if packages else "a package", found=found[0])
    errors = re.findall(r"^ *(?:ERROR|error): (.+)$", said, re.MULTILINE)
    return f"pip failed: {errors[-1] if errors else 'see below'}"


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _show(text: str) -> None:
    """Write `text` over the last line of the terminal, where there is one."""
    if _is_terminal():
        sys.stdout.write(_CLEAR + text[: shutil.get_terminal_size().columns - 1])
        sys.stdout.flush()


def _say(line: str) -> None:
    _show("")
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Prepare what the arguments name: a stamp, and the extras that it stands for."""
    stamp, *extras = sys.argv[1:]
    try:
        prepare(Path(stamp), ",".join(extras))
    except (_EnvironmentError, OSError) as error:
        _show("")
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        _show("")
        sys.stderr.write("Interrupted: the next make begins the installation anew.\n")
        sys.exit(_SIGINT_STATUS)


if __name__ == "__main__":
    main()
