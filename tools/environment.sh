#!/bin/sh
# Makes the environment: sh tools/environment.sh FOLDER.  PYTHON names the interpreter to try first.
set -eu
folder=$1

python=
for candidate in "${PYTHON:-python3}" python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then
    echo "No Python 3.11 or newer was found. Install one, or name it: make PYTHON=/path/to/python3" >&2
    exit 1
fi
if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    echo "$("$python" --version) comes without venv. On Debian and Ubuntu: apt install python3-venv" >&2
    exit 1
fi

echo "Installing into $folder with $("$python" --version): some minutes, about 7 GB on Linux."
"$python" -m venv "$folder"
"$folder/bin/python" -m pip install --disable-pip-version-check -r requirements.txt
touch "$folder/.complete"
