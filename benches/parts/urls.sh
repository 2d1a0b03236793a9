# What the gateway does with signed URLs, uncounted and counted. Read by benches/run.

measure_urls() {
  local ours="http://127.0.0.1:$gateway_port/forward-auth" base="http://127.0.0.1:$bare_port" signed=localhost:$gateway_port
  fetch_rounds urls
  series[redeem-one]="64 $ours forward-auth $signed urls.one"
  series[redeem-repeated]="64 $ours forward-auth $signed urls.repeated"
  series[constant-bare]="64 $base/constant forward-auth $signed urls.repeated"
  series[redeem-different]="64 $ours forward-auth $signed urls.%"
  series[verify-bare]="64 $base/verify forward-auth $signed urls.%"
  series[decide-bare]="64 $base/decide forward-auth $signed urls.%"
  measure redeem-one redeem-repeated constant-bare
  measure redeem-different verify-bare decide-bare
  rate_row "forward-auth, one URL / constant 204" redeem-one constant-bare 0.65
  rate_row "forward-auth, 5,000 URLs again and again / constant 204" redeem-repeated constant-bare 0.65
  rate_row "forward-auth, different URLs / verify one signature" redeem-different verify-bare
  rate_row "forward-auth, different URLs / verify one signature, one Cedar decision" redeem-different decide-bare 0.80
  measure_counted "$ours" "$base" "$signed"
}

# URLs of a million uses, the most that there are: a hot one for each round, and many to repeat.
measure_counted() {
  local ours=$1 base=$2 signed=$3 round
  say "getting counted URLs through the API"
  fetch counted "$repeated" "$world/counted.repeated"
  for ((round = 0; round <= rounds; round++)); do fetch counted 1 "$world/hot.$round"; done
  series[counted]="64 $ours forward-auth $signed counted.repeated"
  series[counted-bare]="64 $base/count forward-auth $signed counted.repeated"
  series[hot]="64 $ours forward-auth $signed hot.%"
  series[hot-bare]="64 $base/count forward-auth $signed hot.%"
  measure counted counted-bare hot hot-bare
  rate_row "counted redemption, 5,000 URLs / one upsert a request, pool of 8" counted counted-bare 4.00
  rate_row "counted redemption, one hot URL / one upsert a request, pool of 8" hot hot-bare 10.00
}
