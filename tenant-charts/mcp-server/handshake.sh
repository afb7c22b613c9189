# Makes an MCP handshake (initialize, notifications/initialized, tools/list) with $MCP_URL and ends with 0 when
# the server has tools. With $REVISION_HOST the same is asked there first, where only pods of the present revision answer.
# Tries again until $TIMEOUT_SECONDS are over, or the server has been answering something else for 20 seconds; then says
# what it answered last, in the log and in the pod's termination message. With EXPECT_LOGIN=true a 401 with a
# WWW-Authenticate header is the right answer: the server wants a user's token, and a Job has none.
set -u

deadline=$(($(date +%s) + TIMEOUT_SECONDS))
seen="no attempt yet"

# Posts $1; the answer is in /tmp/body, its headers in /tmp/head, its status in $status.
post() {
  set -- --data "$1" --header "Content-Type: application/json" \
    --header "Accept: application/json, text/event-stream"
  [ -z "$session" ] || set -- "$@" --header "Mcp-Session-Id: $session"
  [ -z "$version" ] || set -- "$@" --header "MCP-Protocol-Version: $version"
  # called by the name clients call it, as servers may look at that
  [ -z "$host" ] || set -- "$@" --connect-to "::$host:"
  : >/tmp/body
  status=$(curl --silent --show-error --max-time 20 --output /tmp/body --dump-header /tmp/head \
    --write-out '%{http_code}' "$@" "$MCP_URL" 2>/tmp/error) || {
    seen="$(cat /tmp/error)"
    wrong=
    return 1
  }
}

# Keeps what the server said to $1, and since when. 502 to 504 are not its own words: it is on its way.
refused() {
  case $status in 50[234]) wrong= ;; *) wrong=${wrong:-$(date +%s)} ;; esac
  seen="$1 answered $status: $(head -c 300 /tmp/body | tr '\n' ' ')"
  return 1
}

attempt() {
  session= version=
  post '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"tenant-handshake","version":"0.1.0"}}}' || return 1
  if [ "$EXPECT_LOGIN" = true ]; then
    [ "$status" = 401 ] && grep -qi '^www-authenticate:' /tmp/head || { refused initialize; return 1; }
    seen="initialize without a token is refused with 401, as it should be"
    return 0
  fi
  [ "$status" = 200 ] && grep -q '"serverInfo"' /tmp/body || { refused initialize; return 1; }
  session=$(sed -n 's/^[Mm]cp-[Ss]ession-[Ii]d: *\([^[:space:]]*\).*/\1/p' /tmp/head)
  version=$(sed -n 's/.*"protocolVersion" *: *"\([^"]*\)".*/\1/p' /tmp/body)
  post '{"jsonrpc":"2.0","method":"notifications/initialized"}' || return 1
  case $status in 2*) ;; *) refused notifications/initialized; return 1 ;; esac
  post '{"jsonrpc":"2.0","id":2,"method":"tools/list"}' || return 1
  [ "$status" = 200 ] && grep -q '"inputSchema"' /tmp/body || { refused tools/list; return 1; }
  seen="MCP $version, $(grep -o '"inputSchema"' /tmp/body | wc -l | tr -d ' ') tools"
}

# Attempts until the server behind $1 has answered; without $1 the one that clients reach.
prove() {
  host=$1 wrong=
  until attempt; do
    now=$(date +%s)
    if [ "$now" -ge "$deadline" ] || [ "$((now - ${wrong:-$now}))" -ge 20 ]; then
      echo "$MCP_URL does not speak MCP: $seen" | tee /dev/termination-log
      exit 1
    fi
    sleep 2
  done
}

[ -z "${REVISION_HOST:-}" ] || prove "$REVISION_HOST"
prove ""
echo "$MCP_URL: $seen"
