#!/usr/bin/env bash
# Run the tests with what they need from Debian: installed where that is possible (root and apt-get), and where it is
# not, the rest is run and the last lines name what was not tested. With CI=true a missing package is a failure.
# Arguments go to pytest.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

have_chromium() {
  command -v chromium chromium-browser google-chrome >/dev/null 2>&1
}

have_haproxy() {
  command -v haproxy >/dev/null 2>&1 || [ -x /usr/sbin/haproxy ]
}

wanted=""
have_chromium || wanted="chromium"
have_haproxy || wanted="$wanted haproxy"
if [ -n "$wanted" ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing from Debian, for the tests in a browser and at a gateway: $wanted ..."
  export DEBIAN_FRONTEND=noninteractive
  # shellcheck disable=SC2086  # one word a package
  { apt-get update -qq && apt-get install -qq --no-install-recommends $wanted; } >/dev/null </dev/null ||
    echo "apt-get could not install: $wanted" >&2
fi

# what tests write is tens of thousands of small files, read once and deleted: in memory where 8 GB of it are free
free_kb=$(df --output=avail /dev/shm 2>/dev/null | tail -n 1)
if [ "${free_kb:-0}" -gt 8000000 ] && [ -w /dev/shm ]; then
  written=$(mktemp -d /dev/shm/tokenkit-tests-XXXX)
  trap 'rm -rf "$written"' EXIT
  set -- --basetemp "$written" "$@"
fi

# what was compiled is kept, whatever the environment says: each worker would compile all of it again, 6 CPU s, and so
# would each process that a test starts
unset PYTHONDONTWRITEBYTECODE

# one file stays with one worker, which makes what its tests share once; the files come in the order of conftest.py
.venv/bin/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder "$@"
status=$?

if ! have_chromium; then
  printf '\nNOT TESTED: the report and the notebooks in a real browser (tests marked "browser").\n'
  printf 'To test them: sudo apt-get install chromium && make test\n'
  [ "${CI:-}" != true ] || [ "$status" != 0 ] || status=1
fi
if ! have_haproxy; then
  printf '\nNOT TESTED: locking, restricting and undoing at a real gateway (tests marked "haproxy").\n'
  printf 'To test them: sudo apt-get install haproxy && make test\n'
  [ "${CI:-}" != true ] || [ "$status" != 0 ] || status=1
fi
exit "$status"
