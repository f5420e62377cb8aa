"""Child processes that go on until their standard input is closed."""

import subprocess


def end_child(process, timeout):
    """Closes its standard input, and kills it when that did not end it within `timeout` seconds."""
    process.stdin.close()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
