#!/usr/bin/env bash
# One would guess: importing a library writes nothing, or does without its cache where that cannot be written, as
# matplotlib does (it takes a temporary folder and warns).
# What happens: pynwb makes the user's cache folder "pynwb-hdmf/VERSION" as it is imported (PlatformDirs with
# ensure_exists=True, __get_resources in pynwb/__init__.py). Where it cannot be made, "import pynwb" raises OSError, so
# that no file can be read: in a container that is run with an unknown user id (docker run --user 1234), whose home is
# "/", or in a batch job whose home is read-only. Way out: set XDG_CACHE_HOME to a
# folder that can be written before the import.
# Seen with pynwb 4.2.0, hdmf 6.2.0, platformdirs 4 on CPython 3.11.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
PATH="$folder/venv/bin:$PATH"
pip install -q pynwb==4.2.0 hdmf==6.2.0 2>/dev/null

# a file where the folder is to be: the same error for root, whom permissions do not stop
touch no_folder
seen=$(XDG_CACHE_HOME="$folder/no_folder" python -c "import pynwb" 2>&1 | tail -1 || true)
other=$(XDG_CACHE_HOME="$folder/cache" python -c "import pynwb; print('imported')" 2>/dev/null)
echo "cache cannot be made: $seen"
echo "cache can be made:    $other"
case "$seen" in FileExistsError*no_folder* | NotADirectoryError*no_folder*) ;; *) exit 1 ;; esac
test "$other" = imported
