"""Attack the client on every transport and event loop, then the emulator, the relay, the terminal and the log; print a table.

    python -m tests.attack.run [--match TEXT] [--every N] [--skip-others]

Exit status 1 if anything was found.
"""

import argparse
import json
import subprocess
import sys
import time
from typing import Any

from tests.attack.client import BACKENDS, MEMORY_MIB, TRANSPORTS

# The attacks on everything else are tests like any other; `make attack` runs them whole.
OTHERS: dict[str, list[str]] = {
    "the emulator": ["tests/emulator/test_hostile_requests.py", "tests/emulator/test_connection.py"],
    "the relay": ["tests/relay/test_hostile.py", "tests/relay/test_tunnel.py", "tests/serving/test_connection.py"],
    "the terminal": ["tests/cli/test_hostile_terminal.py"],
    "the log": ["tests/log/sqlite/test_lost.py", "tests/log/valkey/test_lost.py", "tests/log/test_contract.py"],
}


def attack_upstreams(transport: str, backend: str, *options: str) -> dict[str, Any]:
    """The report of one transport and loop, from a process of its own, so that its memory is its own."""
    command = [sys.executable, "-m", "tests.attack.client", "--transport", transport, "--backend", backend, *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"faults": [f"the attack itself failed: {done.stderr.strip()[-2000:]}"], "calls": 0, "scenarios": 0}
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--match", default="", help="only hostile upstreams whose name contains this")
    parser.add_argument("--every", type=int, default=1, help="each n-th of them")
    parser.add_argument("--skip-others", action="store_true", help="only hostile upstreams")
    arguments = parser.parse_args()
    found = 0
    print(f"hostile upstreams; memory bound {MEMORY_MIB} MiB")
    print(
        f"{'transport':10} {'loop':8} {'scenarios':>9} {'calls':>6} {'faults':>6} {'peak MiB':>8} {'slowest s':>9} {'stall s':>8}"
    )
    for transport in TRANSPORTS:
        for backend in BACKENDS:
            report = attack_upstreams(transport, backend, "--match", arguments.match, "--every", str(arguments.every))
            found += len(report["faults"])
            cells = (report["scenarios"], report["calls"], len(report["faults"]))
            limits = (report.get("peak_mib", "-"), report.get("slowest_seconds", "-"), report.get("stall_seconds", "-"))
            print(
                "{:10} {:8} {:>9} {:>6} {:>6} {:>8} {:>9} {:>8}".format(transport, backend, *cells, *limits), flush=True
            )
            for fault in report["faults"]:
                print(f"  {fault}", flush=True)
    for name, paths in {} if arguments.skip_others else OTHERS.items():
        print(f"attacks on {name}", flush=True)
        begun = time.monotonic()
        command = [sys.executable, "-m", "pytest", "-q", "-m", "", *paths]
        failed = subprocess.run(command, check=False).returncode
        print(f"  {'failed' if failed else 'held'} after {time.monotonic() - begun:.0f} s", flush=True)
        found += bool(failed)
    print("nothing found" if not found else f"{found} found")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
