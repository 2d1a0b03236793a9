# The rows of the library's own bench that have an aim; it interleaves by itself. There, less is better. Read by benches/run.

library_rows() {
  say "measuring the library"
  local rows path ours base ratio aim
  rows=$(taskset -c "$load_core" cargo bench --quiet --locked --workspace --bench verify 2>"$folder/library.log" | grep '≤') \
    || { tail -n 20 "$folder/library.log" >&2; fail "the library's bench failed"; }
  while IFS='|' read -r _ path ours base ratio aim _; do
    table+=("| library:$path|${ours}µs |${base}µs |$ratio|$aim|")
    if awk -v ratio="$ratio" -v aim="${aim//[^0-9.]/}" 'BEGIN {exit !(ratio + 0 > aim + 0)}'; then missed=$((missed + 1)); fi
  done <<<"$rows"
}
