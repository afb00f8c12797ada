"""Options of the coverage-guided fuzzers, in the words of libFuzzer."""

import argparse
import tempfile


def options(text: str | None, argv: list[str]) -> list[str]:
    """Return the arguments for atheris: for how long, with which corpus, and that one failure does not end it."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", help="directory of inputs to begin with, to which new ones are added")
    given = parser.parse_args(argv[1:])
    found = [
        argv[0],
        f"-max_total_time={given.seconds}",
        f"-seed={given.seed}",
        "-max_len=4096",
        "-rss_limit_mb=4096",
        f"-artifact_prefix={tempfile.mkdtemp()}/",  # slow or failing inputs, which are not for the repository
    ]
    found += ["-print_final_stats=1", "-timeout=60", "-len_control=0"]
    return found + ([given.corpus] if given.corpus else [])
