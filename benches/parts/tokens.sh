# What the server does: tokens, introspection, documents. Read by benches/run.

measure_tokens() {
  local ours="http://127.0.0.1:$server_port" base="http://127.0.0.1:$bare_port" tenant
  tenant=$ours$issuer_path
  series[jwks]="64 $tenant/jwks.json get $host"
  series[jwks-bare]="64 $base/jwks.json get $host"
  series[metadata]="64 $(metadata_of "$issuer") get $host"
  series[metadata-bare]="64 $base/metadata.json get $host"
  series[token-64]="64 $tenant/token token $host"
  series[token-64-bare]="64 $base/token token $host"
  series[token-16]="16 $tenant/token token $host"
  series[token-16-bare]="16 $base/token token $host"
  series[token-rsa]="64 $rsa_issuer/token token $host"
  series[token-rsa-bare]="64 $base/token-rsa token $host"
  authorizations[token-rsa]=$rsa_authorization
  measure token-64 token-64-bare
  measure token-16 token-16-bare
  measure token-rsa token-rsa-bare
  measure jwks jwks-bare metadata metadata-bare
  rate_row "client_credentials, 64 connections / parse the form, sign one JWT" token-64 token-64-bare 0.50
  latency_row "client_credentials, 64 connections, p99" token-64 token-64-bare "< 15 ms"
  rate_row "client_credentials, 16 connections / parse the form, sign one JWT" token-16 token-16-bare 0.30
  rate_row "client_credentials, RS256, 64 connections / parse the form, sign one JWT" token-rsa token-rsa-bare 0.85
  fetch_rounds tokens
  check_introspection "$tenant/introspect"
  series[introspect-different]="64 $tenant/introspect introspect $host tokens.%"
  series[introspect-repeated]="64 $tenant/introspect introspect $host tokens.repeated"
  series[introspect-bare]="64 $base/introspect introspect $host tokens.%"
  measure introspect-different introspect-repeated introspect-bare
  check_introspection "$tenant/introspect"
  rate_row "introspection, ever different tokens / verify one JWT" introspect-different introspect-bare 0.75
  rate_row "introspection, 5,000 tokens again and again / verify one JWT" introspect-repeated introspect-bare 3.00
  rate_row "JWKS / the same bytes" jwks jwks-bare 0.80
  rate_row "metadata / the same bytes" metadata metadata-bare 0.80
  rm -f "$world"/tokens.*
}

# An answer with active=false would be fast, and worth nothing.
check_introspection() {
  local token
  token=$(<"$world/tokens.one")
  curl -fsS --config - -H "Host: $host" --data-urlencode "token=$token" "$1" <<<"header = \"Authorization: $authorization\"" \
    | grep -q '"active":true' || fail "a token that the product just issued is not active"
}
