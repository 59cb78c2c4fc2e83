#!/usr/bin/env bash
# Run the tests with what they need from Debian: installed where that is possible (root and apt-get), and where it is
# not, the rest is run and the last lines name what was not tested. With CI=true a missing package is a failure.
# Arguments go to pytest.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 2

have_chromium() {
  command -v chromium chromium-browser google-chrome >/dev/null 2>&1
}

if ! have_chromium && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
  echo "Installing Debian's chromium for the tests in a browser ..."
  export DEBIAN_FRONTEND=noninteractive
  { apt-get update -qq && apt-get install -qq --no-install-recommends chromium; } >/dev/null </dev/null ||
    echo "apt-get could not install chromium" >&2
fi

# one file stays with one worker, which makes what its tests share once
.venv/bin/pytest --numprocesses 2 --dist loadfile "$@"
status=$?

if ! have_chromium; then
  printf '\nNOT TESTED: the report and the notebooks in a real browser (tests marked "browser").\n'
  printf 'To test them: sudo apt-get install chromium && make test\n'
  [ "${CI:-}" != true ] || [ "$status" != 0 ] || status=1
fi
exit "$status"
