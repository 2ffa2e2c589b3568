#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# install-conf.sh FILE FOLDER: puts FILE into FOLDER, below $DESTDIR, unless it has one of this name
set -eu
to="${DESTDIR:-}$2/${1##*/}"
if [ -e "$to" ]; then
	echo "Keeping $to"
else
	install -D -m 0644 "$1" "$to"
fi
