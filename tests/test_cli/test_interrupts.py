"""Ctrl-C where nothing answers it by itself: code that blocks, a slow end, a process that has only begun."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from tests.support.commandline import Folder
from tests.support.terminals import Terminal

ASK = {
    "input": "input('give: ')",
    "getpass": "import getpass; getpass.getpass('give: ')",
    "loop": "import sys; print('give: ', file=sys.stderr)\nwhile True: pass",
    "a loop that wants to go on": "import sys; print('give: ', file=sys.stderr)\n"
    "try:\n    while True: pass\nexcept KeyboardInterrupt:\n    while True: pass",
}


def wait_until_it_reads() -> None:
    """Wait while Python goes from the prompt on to the input: between the two it keeps a Ctrl-C to itself."""
    time.sleep(0.5)


@pytest.mark.parametrize("how", ASK)
def test_ctrl_c_ends_deploy_code_that_lets_nothing_else_run(
    folder: Folder,
    terminals: list[Terminal],
    how: str,
) -> None:
    folder.write("deploy.py", ASK[how])
    terminals.append(terminal := Terminal(folder, "-y", "@fake/a,b", "deploy.py"))
    terminal.wait_for("give: ")
    terminal.wait_until_nothing_is_echoed() if how == "getpass" else wait_until_it_reads()
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert terminal.echoes_at_the_end
    # The other host's code has not begun
    assert terminal.seen.count("give: ") == 1
    assert "    Interrupted" in terminal.lines
    assert "--> Disconnecting from hosts..." in terminal.lines
    assert "Traceback" not in terminal.seen


@pytest.mark.parametrize("mode", [(), ("--no-wait",), ("--serial",)])
def test_the_second_ctrl_c_ends_a_callback_that_lets_nothing_else_run(
    folder: Folder,
    terminals: list[Terminal],
    mode: tuple[str, ...],
) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra.operations import python, server

        def wait():
            print("it blocks")
            while True:
                pass

        python.call(name="Wait", function=wait)
        server.shell("touch never")
        """,
    )
    terminals.append(terminal := Terminal(folder, *mode, "-y", "@local", "deploy.py"))
    terminal.wait_for("it blocks")
    terminal.press_ctrl_c()
    terminal.wait_for("press Ctrl-C again to kill them")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert terminal.lines.count("        Error: Interrupted") == 1
    assert "--> Failed hosts:" in terminal.lines
    assert "--> Disconnecting from hosts..." in terminal.lines
    assert not (folder.path / "never").exists()
    assert "Traceback" not in terminal.seen


def test_what_a_callback_that_is_let_end_was_asked_for_is_done(folder: Folder, terminals: list[Terminal]) -> None:
    folder.write(
        "deploy.py",
        """
        import time

        from pyinfra.operations import python, server

        def work():
            print("it blocks")
            end = time.monotonic() + 2
            while time.monotonic() < end:
                pass
            open("done", "w").close()

        python.call(work)
        server.shell("touch never")
        """,
    )
    terminals.append(terminal := Terminal(folder, "-y", "@local", "deploy.py"))
    terminal.wait_for("it blocks")
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert (folder.path / "done").exists()
    assert not (folder.path / "never").exists()
    assert "    [@local] Success" in terminal.lines


@pytest.mark.parametrize("presses", [2, 3])
def test_what_does_not_want_to_end_is_left_behind_without_a_traceback(
    folder: Folder,
    terminals: list[Terminal],
    presses: int,
) -> None:
    command = "trap '' INT TERM; echo began; sleep 20"
    terminals.append(terminal := Terminal(folder, "-vvv", "-y", "@local", "server.shell", command))
    terminal.wait_for("] began")
    for _ in range(presses):
        pressed_at = time.monotonic()
        terminal.press_ctrl_c()
        time.sleep(0.2)
    assert terminal.end() == 130
    assert time.monotonic() - pressed_at < 2.5
    assert "--> Results:" in terminal.lines
    assert "Traceback" not in terminal.seen


@pytest.mark.parametrize("where", ["deploy", "callback", "text"])
def test_code_that_raises_keyboard_interrupt_interrupts_the_run(folder: Folder, where: str) -> None:
    folder.write(
        "deploy.py",
        """
        from pyinfra import host
        from pyinfra.operations import python, server

        def stop():
            raise KeyboardInterrupt

        if host.data.where == "deploy":
            stop()
        if host.data.where == "text":
            exec("raise KeyboardInterrupt")
        python.call(stop)
        server.shell("touch never")
        """,
    )
    ended = folder.run("--data", f"where={where}", "-y", "@local,@fake", "deploy.py")
    assert ended.exit_code == 130
    assert "    Interrupted" in ended.lines
    assert ended.lines[-1] == "--> Disconnecting from hosts..."
    assert ("--> Results:" in ended.lines) == (where == "callback")
    assert not (folder.path / "never").exists()
    assert "Traceback" not in ended.err


SLOW_END = """
    import gevent
    from pyinfra.connectors.local import LocalConnector


    class Slow(LocalConnector):
        @staticmethod
        def make_names_data(name=None):
            yield "slow", {{}}, []

        def disconnect(self):
            print("it disconnects")
            gevent.sleep({seconds})
            open("disconnected", "w").close()
            super().disconnect()
"""


def test_after_the_first_ctrl_c_disconnecting_takes_the_time_that_it_needs(
    folder: Folder,
    terminals: list[Terminal],
) -> None:
    folder.write("slow.py", SLOW_END.format(seconds=1.5))
    folder.write("deploy.py", ASK["input"])
    terminals.append(terminal := Terminal(folder, "-y", "@slow:Slow", "deploy.py"))
    terminal.wait_for("give: ")
    wait_until_it_reads()
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert (folder.path / "disconnected").exists()


def test_the_second_ctrl_c_limits_the_time_for_disconnecting(folder: Folder, terminals: list[Terminal]) -> None:
    folder.write("slow.py", SLOW_END.format(seconds=60))
    folder.write("deploy.py", ASK["input"])
    terminals.append(terminal := Terminal(folder, "-y", "@slow:Slow", "deploy.py"))
    terminal.wait_for("give: ")
    wait_until_it_reads()
    terminal.press_ctrl_c()
    terminal.wait_for("it disconnects")
    pressed_at = time.monotonic()
    terminal.press_ctrl_c()
    assert terminal.end() == 130
    assert time.monotonic() - pressed_at < 2.5
    assert "Traceback" not in terminal.seen


@pytest.mark.parametrize("library", ["click", "gevent"])
@pytest.mark.parametrize("words", [("-m", "pyinfra_cli"), ("-c", "from pyinfra_cli.__main__ import main; main()")])
def test_ctrl_c_while_libraries_are_loaded_ends_the_process_in_silence(
    folder: Folder,
    library: str,
    words: tuple[str, ...],
) -> None:
    folder.write(f"{library}.py", "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nwhile True: pass")
    # Who measures coverage loads gevent itself, before all else
    environment = {key: value for key, value in folder.environment.items() if not key.startswith("COVERAGE_")}
    ended = subprocess.run(
        [sys.executable, *words, "@local", "exec", "--", "true"],
        cwd=folder.path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
