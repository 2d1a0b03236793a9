# The same paths with 10 tenants and with 10,000: two databases; two pairs of server and gateway, in turn. Read by benches/run.

measure_growth() {
  local small=$name small_server=$server_port small_gateway=$gateway_port small_authorization=$authorization
  fetch urls "$repeated" "$world/small.urls"
  tenant_manifests >"$world/tenants.yaml"
  make_world grown "$world/tenants.yaml"
  start_roles
  fetch urls "$repeated" "$world/grown.urls"
  series[token-small]="64 http://127.0.0.1:$small_server$issuer_path/token token localhost:$small_server"
  series[token-grown]="64 http://127.0.0.1:$server_port$issuer_path/token token $host"
  series[redeem-small]="64 http://127.0.0.1:$small_gateway/forward-auth forward-auth localhost:$small_gateway small.urls"
  series[redeem-grown]="64 http://127.0.0.1:$gateway_port/forward-auth forward-auth localhost:$gateway_port grown.urls"
  authorizations[token-small]=$small_authorization
  measure token-small token-grown
  measure redeem-small redeem-grown
  rate_row "client_credentials, $tenants tenants / 10 tenants" token-grown token-small 0.90
  rate_row "forward-auth, 5,000 URLs, $tenants tenants / 10 tenants" redeem-grown redeem-small 0.90
  absolute_row "memory of the server with $tenants tenants" "$(($(memory "$server_pid" VmRSS) / 1024))" MiB
  name=$small
}

# What benches/world.yaml lacks to so many.
tenant_manifests() {
  seq "$((tenants - 10))" | sed 's/.*/---\napiVersion: authly.dev\/v1alpha1\nkind: Tenant\nmetadata: {name: more-&}\nspec: {}/'
}
