# PostgreSQL, the manifests of benches/world.yaml, and the roles as a deployment runs them. Read by benches/run.

readonly clients=1000

start_postgres() {
  say "starting PostgreSQL"
  on_server postgres bash -c 'exec "$@" >"$0" 2>&1' "$folder/postgres.out" "$built/debug/examples/run" "$folder" \
    max_connections=200 min_wal_size=4GB max_wal_size=32GB checkpoint_timeout=1h
  wait_for 120 $! postgres grep -q '^postgres://' "$folder/postgres.out"
  cluster=$(grep -m 1 '^postgres://' "$folder/postgres.out")
  "$load" wal "$cluster" "$wal_mebibytes"
}

fact() { sed -n "s/^$1=//p" <<<"$facts"; }

# make_world NAME [FILE…]: a database of that name with benches/world.yaml, so many clients, and the manifests of the files.
# Dev mode applies them and is then stopped. Sets what the other parts read: the name, ports, URLs, passwords.
make_world() {
  name=$1 data=$world/$1/data
  local manifests=$world/$1/manifests at=${cluster##*@} before=${cluster%@*} limit=120
  shift
  free_port; server_port=$port
  free_port; gateway_port=$port
  say "applying benches/world.yaml to the database $name"
  mkdir -p "$manifests"
  chmod 700 "$world/$name"
  "$load" database "$cluster" "$name"
  at=${at%%/*}
  sed "s/GATEWAY_PORT/$gateway_port/g" benches/world.yaml >"$manifests/world.yaml"
  seq "$clients" | sed 's/.*/---\napiVersion: authly.dev\/v1alpha1\nkind: OAuthClient\nmetadata: {name: other-&, namespace: shop}\nspec: {tenantRef: {name: acme}, type: Service}/' \
    >"$manifests/clients.yaml"
  if (($# > 0)); then cp "$@" "$manifests"; limit=1200; fi
  on_server "dev-$name" "$authly" dev "$manifests" --data-dir "$data" --database-url "$before@$at/$name" \
    --listen "127.0.0.1:$server_port" --gateway-listen "127.0.0.1:$gateway_port"
  wait_for "$limit" $! "dev-$name" test -s "$data/dev.json"
  cp -p "$data"/{dev,roles}.json "$world/$name" # dev.json goes with the process
  facts=$("$load" facts "$world/$name") || { tail -n 20 "$folder/dev-$name.log" >&2; fail "dev mode is not ready, see above"; }
  end_last
  database=$at/$name
  issuer=$(fact issuer) authorization=$(fact authorization)
  rsa_issuer=$(fact rsa_issuer) rsa_authorization=$(fact rsa_authorization)
  host=${issuer#*://} && issuer_path=/${host#*/} && host=${host%%/*}
}

# start_server: and waits until it is ready; $! is its pid.
start_server() {
  free_port; local management=$port
  AUTHLY_DATABASE_PASSWORD=$(fact server_password) on_server "server-$name" "$authly" server --kek-file "$data/kek" \
    --database-url "postgres://${name}_server_login@$database" --listen "127.0.0.1:$server_port" --management-listen "127.0.0.1:$management"
  server_pid=$! server_ready=http://127.0.0.1:$management/readyz
}

start_roles() {
  say "starting server and gateway"
  start_server
  wait_for 60 "$server_pid" "server-$name" answers "$server_ready"
  free_port; backend_port=$port
  free_port; local management=$port
  AUTHLY_DATABASE_PASSWORD=$(fact gateway_password) on_server "gateway-$name" "$authly" gateway --forward-auth-peer 127.0.0.0/8 \
    --database-url "postgres://${name}_gateway_login@$database" --listen "127.0.0.1:$gateway_port" --management-listen "127.0.0.1:$management" \
    --service "shop/files=http://127.0.0.1:$backend_port"
  gateway_pid=$!
  wait_for 60 $! "gateway-$name" answers "http://127.0.0.1:$management/readyz"
}

start_bare() {
  curl -fsS "$issuer/jwks.json" -o "$world/jwks.json"
  curl -fsS "$issuer/sx/jwks.json" -o "$world/sx.json"
  curl -fsS "$(metadata_of "$issuer")" -o "$world/metadata.json"
  on_server bare "$bare" "$bare_port" "$world" "$cluster"
  wait_for 10 $! bare answers "http://127.0.0.1:$bare_port/jwks.json"
}

# The metadata's URL of an issuer (RFC 8414 section 3.1).
metadata_of() {
  local rest=${1#*://}
  printf '%s://%s/.well-known/oauth-authorization-server/%s' "${1%%://*}" "${rest%%/*}" "${rest#*/}"
}
