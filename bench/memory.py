"""The most memory that this process has held."""

from __future__ import annotations

import sys


def peak() -> float:
    """MiB since the process began."""
    # On Linux ru_maxrss begins with what the parent had before exec; VmHWM begins anew.
    if sys.platform == "linux":
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def held() -> float:
    """MiB that this process holds now; on other systems than Linux, the most that it has held."""
    if sys.platform != "linux":
        return peak()
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) / 1024
