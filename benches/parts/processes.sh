# Processes on the server's core, free ports, and the end of them all. Read by benches/run.

say() { printf 'benches: %s (%d s)\n' "$*" "$SECONDS" >&2; }
fail() { printf 'benches: %s\n' "$*" >&2; exit 1; }

pids=()
finish() {
  local i
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
  rm -rf "$world" "$folder/cluster"
}

# on_server LOG COMMAND…: in the background on the server's core; its output goes to $folder/LOG.log; $! is its pid.
on_server() {
  local log=$folder/$1.log
  shift
  taskset -c "$server_core" "$@" >"$log" 2>&1 9>&- &
  pids+=($!)
}

# Ends the process that on_server started last.
end_last() {
  local pid=${pids[-1]}
  unset 'pids[-1]'
  kill "$pid" && wait "$pid" || fail "a process did not stop orderly: see the logs in $folder"
}

# wait_for SECONDS PID LOG COMMAND…: until the command succeeds; fails if the process ends or the time is up.
wait_for() {
  local limit=$((SECONDS + $1)) pid=$2 log=$folder/$3.log
  shift 3
  until "$@" >/dev/null 2>&1; do
    kill -0 "$pid" 2>/dev/null || { tail -n 20 "$log" >&2; fail "a process ended, see above"; }
    ((SECONDS < limit)) || { tail -n 20 "$log" >&2; fail "not ready in time: $*"; }
    sleep 0.1
  done
}

answers() { curl -fsS -o /dev/null --max-time 2 "$1"; }

# KiB that a process has in memory now, or had at most.
memory() { awk -v name="$2:" '$1 == name {print $2}' "/proc/$1/status"; }

ports=()
# A free port below the system's own range, into $port.
free_port() {
  while :; do
    port=$((20000 + RANDOM % 12000))
    [[ " ${ports[*]:-} " != *" $port "* ]] || continue
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
  done
  ports+=("$port")
}
