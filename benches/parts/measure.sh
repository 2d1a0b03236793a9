# One wrk at a time, interleaved, and the rows of the table. Read by benches/run.

# fetch KIND COUNT FILE…: that many tokens, urls or counted URLs of the current world into each file.
fetch() {
  local kind=$1 count=$2
  shift 2
  taskset -c "$load_core" "$load" "$kind" "$world/$name" "$count" "$@"
}

# fetch_rounds KIND: a file of some to repeat, and one of different ones for each round; round 0 warms up.
fetch_rounds() {
  local kind=$1 files=() round
  say "getting $kind through the API: $((rounds * different + warm))"
  for ((round = 1; round <= rounds; round++)); do files+=("$world/$kind.$round"); done
  fetch "$kind" "$warm" "$world/$kind.0"
  fetch "$kind" "$different" "${files[@]}"
  head -n "$repeated" "$world/$kind.0" >"$world/$kind.repeated"
  head -n 1 "$world/$kind.0" >"$world/$kind.one"
}

# A series is what one wrk sends: connections, URL, kind, host, file; % in the file is the round.
declare -A series rates latencies authorizations
notes=()

# load_once NAME ROUND SECONDS: appends to rates and latencies, except in round 0.
load_once() {
  local name=$1 round=$2 duration=$3 connections url kind host file output rate latency failed wraps TIMEFORMAT='%U %S %R'
  read -r connections url kind host file <<<"${series[$name]}"
  local arguments=("$kind" "$host")
  [[ -z $file ]] || arguments+=("$world/${file//%/$round}")
  { time BENCH_AUTHORIZATION=${authorizations[$name]:-$authorization} taskset -c "$load_core" wrk -t1 -c"$connections" -d"${duration}s" \
      -s benches/wrk/load.lua "$url" -- "${arguments[@]}" >"$folder/wrk.out" 2>"$folder/wrk.err"; } 2>"$folder/wrk.time" \
    || { cat "$folder/wrk.err" >&2; fail "wrk failed on $name"; }
  output=$(grep '^authly-bench ' "$folder/wrk.out") || { cat "$folder/wrk.out" "$folder/wrk.err" >&2; fail "wrk said nothing on $name"; }
  read -r _ rate latency failed wraps <<<"$output"
  ((failed == 0)) || { cat "$folder/wrk.out" >&2; tail -n 5 "$folder"/*.log >&2; fail "$name: $failed requests failed"; }
  ((round > 0)) || return 0
  # The baselines remember nothing: to them every token is new. A hot URL is one line.
  if [[ $file == *%* && $file != hot* && $name != *-bare && $wraps -gt 0 ]]; then
    notes+=("$name, round $round: faster than foreseen, so its input came $((wraps + 1)) times: raise BENCH_FASTEST.")
  fi
  if awk '{exit !(($1 + $2) / $3 > 0.97)}' "$folder/wrk.time"; then notes+=("$name, round $round: wrk itself was the limit."); fi
  rates[$name]+="$rate "
  latencies[$name]+="$latency "
}

# measure NAME…: all of them in turn, three rounds, every second one backwards.
measure() {
  local round name names=("$@") backwards=()
  say "measuring $*"
  for name in "$@"; do backwards=("$name" "${backwards[@]}"); done
  for name in "$@"; do load_once "$name" 0 1; done
  for ((round = 1; round <= rounds; round++)); do
    if ((round % 2)); then names=("$@"); else names=("${backwards[@]}"); fi
    for name in "${names[@]}"; do sleep 0.2; load_once "$name" "$round" "$seconds"; done
  done
}

median() { tr ' ' '\n' <<<"$1" | sed '/^$/d' | sort -n | awk '{v[NR] = $1} END {print v[int((NR + 1) / 2)]}'; }

table=()
missed=0

# rate_row PATH OURS BASELINE [LOWEST RATIO] [UNIT]: of two series, more is better.
rate_row() {
  local row
  row=$(awk -v path="$1" -v ours="$(median "${rates[$2]}")" -v base="$(median "${rates[$3]}")" -v aim="${4:-}" -v unit="${5:-/s}" '
    function thousands(n,  text) { for (text = sprintf("%d", n + 0.5); match(text, /[0-9][0-9][0-9][0-9]($|,)/); )
      text = substr(text, 1, RSTART) "," substr(text, RSTART + 1); return text }
    BEGIN { ratio = ours / base
      printf "%s| %s | %s%s | %s%s | %.2f | %s |\n", (aim != "" && ratio < aim) ? "missed" : "", path, thousands(ours), unit,
        thousands(base), unit, ratio, aim == "" ? "–" : sprintf("≥ %.2f", aim) }')
  if [[ $row == missed* ]]; then missed=$((missed + 1)); fi
  table+=("${row#missed}")
}

# latency_row PATH OURS BASELINE AIM: the 99th percentile; its aim is absolute and therefore not judged.
latency_row() {
  table+=("$(awk -v path="$1" -v ours="$(median "${latencies[$2]}")" -v base="$(median "${latencies[$3]}")" -v aim="$4" \
    'BEGIN { printf "| %s | %.1f ms | %.1f ms | %.2f | %s |\n", path, ours / 1000, base / 1000, ours / base, aim }')")
}

# absolute_row PATH VALUE UNIT [MOST]: of a thing that has no baseline, less is better.
absolute_row() {
  local aim=–
  if [[ -n ${4:-} ]]; then
    aim="≤ $4 $3"
    if (($2 > $4)); then missed=$((missed + 1)); fi
  fi
  table+=("| $1 | $2 $3 | – | – | $aim |")
}
