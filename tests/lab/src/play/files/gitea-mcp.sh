#!/bin/sh
exec /usr/local/bin/lab play gitea-mcp "$@"
