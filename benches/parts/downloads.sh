# A gibibyte through the gateway and through nginx, from the same backend. Read by benches/run.

readonly mebibytes=1024

measure_downloads() {
  local target round ours=http://localhost:$gateway_port before most
  say "measuring downloads"
  mkdir -p "$world/files/reports"
  truncate -s "${mebibytes}M" "$world/files/reports/big.bin"
  chmod 755 "$world" "$world/files" "$world/files/reports"
  target=$("$load" url "$world/$name" /reports/big.bin)
  free_port
  nginx_configuration "$port" >"$world/nginx.conf"
  on_server nginx nginx -p "$world" -c "$world/nginx.conf"
  wait_for 10 $! nginx answers "http://127.0.0.1:$port/healthz"
  download warm "$ours$target" && download warm "http://127.0.0.1:$port/reports/big.bin"
  before=$(memory "$gateway_pid" VmRSS)
  for ((round = 1; round <= rounds; round++)); do
    download gateway "$ours$target"
    download nginx "http://127.0.0.1:$port/reports/big.bin"
  done
  most=$(memory "$gateway_pid" VmRSS)
  rate_row "a file of 1 GiB through the gateway / nginx proxy_pass" gateway nginx 0.80 " MiB/s"
  absolute_row "memory of the gateway that three such downloads leave behind" "$(((most - before + 1023) / 1024))" MiB 8
  chmod 700 "$world"
}

# download NAME URL
download() {
  local took size
  read -r took size < <(taskset -c "$load_core" curl -fsS -o /dev/null -w '%{time_total} %{size_download}\n' --max-time 60 "$2") \
    || fail "the download through $1 failed"
  ((size == mebibytes * 1024 * 1024)) || fail "$1 sent $size bytes"
  rates[$1]+="$(awk -v n="$mebibytes" -v t="$took" 'BEGIN {print n / t}') "
}

# One nginx is both: the backend, and the proxy that the gateway is compared with. Responses are passed on without a file between.
nginx_configuration() {
  cat <<END
daemon off;
worker_processes 2;
pid $world/nginx.pid;
error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path $world/nginx-body;
  proxy_temp_path $world/nginx-proxy;
  fastcgi_temp_path $world/nginx-fastcgi;
  uwsgi_temp_path $world/nginx-uwsgi;
  scgi_temp_path $world/nginx-scgi;
  server {
    listen 127.0.0.1:$backend_port;
    root $world/files;
    sendfile on;
  }
  server {
    listen 127.0.0.1:$1;
    location = /healthz { return 204; }
    location / { proxy_pass http://127.0.0.1:$backend_port; proxy_max_temp_file_size 0; }
  }
}
END
}
