#!/bin/sh
# Stands in for a C compiler and an archiver where only types are checked: makes what it is asked for, empty.
case "$1" in -v | --version | -\? | "") echo "clang version 14.0.0" && exit 0 ;; esac
before=
for argument in "$@"; do
  case "$before" in -o) : > "$argument" ;; esac
  case "$argument" in
    -Fo* | /Fo*) : > "${argument#???}" ;;
    -out:* | /out:* | -OUT:*) : > "${argument#?????}" ;;
    *.a | *.lib) [ -e "$argument" ] || : > "$argument" ;;
    # The crate cc asks which family the compiler is of.
    -E | /E | -EP) echo '"clang"' ;;
  esac
  before=$argument
done
