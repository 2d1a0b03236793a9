# What `authly server` needs to start and to run with 1,000 clients. Read by benches/run.

# The time from the start of the process until it is ready, on a migrated database; the shortest poll takes some milliseconds.
measure_start() {
  local round from
  say "measuring the start of the server"
  for ((round = 1; round <= rounds; round++)); do
    from=$(date +%s%N)
    start_server
    until answers "$server_ready" 2>/dev/null; do kill -0 "$server_pid" || fail "the server ended: see $folder/server-$name.log"; done
    starts+="$((($(date +%s%N) - from) / 1000000)) "
    resident+="$(memory "$server_pid" VmRSS) "
    end_last
  done
  absolute_row "authly server, from start to ready" "$(median "$starts")" ms 300
  absolute_row "memory of the server with 1,002 clients, ready" "$(($(median "$resident") / 1024))" MiB 60
}
starts='' resident=''

measure_memory() {
  absolute_row "memory of the server with 1,002 clients, after all these tokens" "$(($(memory "$server_pid" VmRSS) / 1024))" MiB 60
}
