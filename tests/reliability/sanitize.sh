#!/usr/bin/env bash
# Runs the kernels with bounds checks, then under AddressSanitizer and UndefinedBehaviorSanitizer, from clean clones.
# bash tests/reliability/sanitize.sh [both|bounds|sanitizers] [python3]
# Needs git, GCC and its sanitizers on Linux; leaves nothing behind.
# PREPARED=1 takes the packages that this Python has instead of a new virtual environment.
set -euo pipefail

which=${1:-both}
python=${2:-python3}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset PYTHONPATH PYTHONHOME
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MPLBACKEND=Agg

tests=(
    tests/kernel tests/inference tests/test_linear.py tests/test_glm.py tests/test_classification.py
    tests/test_prediction.py tests/test_family_prediction.py tests/test_one_fit_at_a_time.py
    # Not the one that measures memory: what is freed stays, so that its use is noticed.
    --deselect tests/kernel/test_nuts.py::test_no_memory_growth
    # Nor those with a limit of time, which sanitized code on a busy machine misses.
    --deselect tests/kernel/test_target.py::test_a_list_that_is_too_short_is_an_error
    --deselect tests/inference/test_sampling_stops.py::test_an_interrupt_of_fast_chains_comes_through
)

if [ -z "${PREPARED:-}" ]; then
    "$python" -m venv "$work/venv"
    python=$work/venv/bin/python
    git clone --quiet "$root" "$work/packages"
    "$python" -m pip install --quiet "$work/packages[test]" setuptools 'cython>=3.3,<3.4'
    "$python" -m pip uninstall --quiet --yes bayesglm
fi

# Clone into $1, build with the variable $2, and run the tests with the variables that follow.
run() {
    local name=$1 build=$2
    shift 2
    git clone --quiet "$root" "$work/$name"
    cd "$work/$name"
    env "$build" "$python" setup.py build_ext --inplace >"$work/$name.log" 2>&1 || { tail -n 50 "$work/$name.log"; exit 1; }
    echo "$name: $build"
    # An error in a function that cannot raise is only printed by Python: here it is a failure.
    env PYTHONPATH="$PWD" "$@" "$python" -m pytest -p no:cacheprovider \
        -W error::pytest.PytestUnraisableExceptionWarning "${tests[@]}"
}

[ "$which" = sanitizers ] || run bounds BAYESGLM_DEBUG=1 PYTHONFAULTHANDLER=1
# Python is not built with the sanitizers, so that theirs come first by force. Python's own allocator would hide what
# lies beyond an array, and what it keeps to the end is no leak. A report ends the process, and so the tests.
[ "$which" = bounds ] || run sanitizers BAYESGLM_SANITIZE=address,undefined \
    LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" \
    ASAN_OPTIONS=detect_leaks=0:strict_string_checks=1 UBSAN_OPTIONS=print_stacktrace=1 PYTHONMALLOC=malloc
echo "no report"
