"""Builds this project's examples."""

import json
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def examples(*names, features="cpu"):
    """Builds examples, for the CPU unless there are further features, and returns the paths of their executables."""
    build = ["cargo", "build", "--release", "--no-default-features", "--features", features, "--message-format", "json"]
    build += [argument for name in names for argument in ("--example", name)]
    messages = subprocess.run(build, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    found = {m["target"]["name"]: m["executable"] for m in map(json.loads, messages.splitlines())
             if m.get("executable")}
    return [found[name] for name in names]
