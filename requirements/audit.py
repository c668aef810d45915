"""Whether the lock files pin a release with a known vulnerability: `make audit`, and without a network in `make lint`.

    python requirements/audit.py            compares the pins with known-vulnerable.txt
    python requirements/audit.py --online   asks the OSV database through pip-audit first, where it can be reached

Label Studio's own lock is left out: it is what the tests and the demo run against, pinned as Label Studio pins it.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).resolve().parent
LOCKS = ("product.lock", "dev.lock")


def pins(lock: str) -> dict[str, str]:
    """Name to version of everything that the text of a lock file pins."""
    return {
        canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==([^\s;]+)", lock, re.MULTILINE)
    }


def known(text: str) -> list[tuple[Requirement, str]]:
    """The ranges of known-vulnerable.txt, each with what is wrong with it."""
    lines = [line.partition("#") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(Requirement(range_.strip()), why.strip()) for range_, _, why in lines]


def vulnerable(pinned: dict[str, str], ranges: Iterable[tuple[Requirement, str]]) -> list[str]:
    """One sentence for each pin inside one of the ranges."""
    return [
        f"{range_.name} {pinned[canonicalize_name(range_.name)]} is vulnerable: {why}."
        for range_, why in ranges
        if range_.specifier.contains(pinned.get(canonicalize_name(range_.name), ""), prereleases=True)
        if canonicalize_name(range_.name) in pinned
    ]


def asked_online(lock: Path) -> list[str] | None:
    """What the database knows of a lock's pins; None when it cannot be asked."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--no-deps", "--disable-pip"]
    command += ["--vulnerability-service", "osv", "--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        audited = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return None
    return [
        f"{each['name']} {each['version']} is vulnerable: {found['id']}."
        for each in audited
        for found in each.get("vulns", [])
    ]


def main(arguments: list[str]) -> int:
    ranges = known((HERE / "known-vulnerable.txt").read_text(encoding="utf-8"))
    found: list[str] = []
    for name in LOCKS:
        answer = asked_online(HERE / name) if "--online" in arguments else None
        if answer is None and "--online" in arguments:
            sys.stdout.write(f"{name}: the database cannot be reached; only the list in the repository was asked.\n")
        pinned = pins((HERE / name).read_text(encoding="utf-8"))
        found += [f"{name}: {sentence}" for sentence in [*vulnerable(pinned, ranges), *(answer or [])]]
    sys.stdout.writelines(f"{sentence}\n" for sentence in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
