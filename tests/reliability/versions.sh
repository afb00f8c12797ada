#!/usr/bin/env bash
# The test suite at the lowest and the newest versions that pyproject.toml admits, on every Python: a line for each.
#
#   bash tests/reliability/versions.sh                            all six
#   bash tests/reliability/versions.sh "lowest 3.12" "newest 3.13"
#   PYTEST_ADDOPTS="--ignore-glob=*_calibration.py" bash tests/reliability/versions.sh
#
# Needs git, a C compiler, the Pythons, and uv (pip install uv), which resolves to the lowest versions. The kernel is
# built with the lowest versions of what builds it, too. pandas comes with ArviZ, not with us, so nothing bounds it
# from below but this script: 2.2, the first for NumPy 2.0, and 2.3 on 3.13, where NumPy is 2.1 at least: with pandas
# 2.2 np.array(series, copy=True) copies nothing there. Logs are kept where the last line says.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
commit=$(git -C "$root" rev-parse --short HEAD)
unset PYTHONPATH VIRTUAL_ENV
export MPLBACKEND=Agg
[ $# -gt 0 ] || set -- "lowest 3.11" "newest 3.11" "lowest 3.12" "newest 3.12" "lowest 3.13" "newest 3.13"

resolution() { if [ "$1" = lowest ]; then echo lowest-direct; else echo highest; fi; }

# Print the path of a Python of version $1: on PATH, or from pyenv.
find_python() {
    local candidate
    for candidate in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python3; do
        "$candidate" -c 'import sys; print(sys.executable)' 2>/dev/null && return
    done
    echo "no Python $1 found" >&2
    return 1
}

# Print what builds the package, one requirement a line.
build_requirements() {
    "$1" -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")'
}

install() {
    local which=$1 python=.venv/bin/python

    uv venv --quiet --python "$(find_python "$2")" .venv
    local pandas="pandas>=2.2,<2.3"
    if [ "$2" = 3.13 ]; then pandas="pandas>=2.3,<2.4"; fi
    if [ "$which" = lowest ]; then echo "$pandas"; fi >.venv/constraints.txt
    build_requirements "$python" |
        uv pip compile --quiet --python "$python" --only-binary :all: --resolution "$(resolution "$which")" - >.venv/build.txt
    uv pip install --quiet --python "$python" --only-binary :all: --no-binary bayesglm --resolution "$(resolution "$which")" \
        --constraint .venv/constraints.txt --build-constraint .venv/build.txt --editable '.[test]'
}

versions() {
    .venv/bin/python - <<'PYTHON'
from importlib.metadata import version
print(*(f"{name} {version(name)}" for name in "numpy scipy scikit-learn patsy pandas arviz".split()), sep=", ")
PYTHON
}

failed=0
for run in "$@"; do
    read -r which python <<<"$run"
    here=$work/$which-$python
    log=$here.txt
    git clone --quiet "$root" "$here"
    if [ -d "$root/../shared" ]; then ln -sfn "$(cd "$root/../shared" && pwd)" "$work/shared"; fi
    # In the background, because errexit does not work inside an if.
    (cd "$here"; install "$which" "$python"; .venv/bin/python -m pytest) >"$log" 2>&1 &
    if wait $!; then
        verdict=$(tail -n 1 "$log")
    else
        verdict="FAILED, $(tail -n 1 "$log")"
        failed=1
    fi
    printf '%-6s %s  %s\n             %s\n' "$which" "$python" "$verdict" "$(cd "$here" && versions)"
done
echo "commit $commit, logs in $work"
exit "$failed"
