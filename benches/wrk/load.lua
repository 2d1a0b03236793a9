-- What wrk sends, and the one line that benches/run reads.
--
--   wrk … -s load.lua URL -- KIND HOST [FILE]
--
-- KIND get: the URL. token: client_credentials with BENCH_AUTHORIZATION. introspect: each token of FILE, likewise.
-- forward-auth: each target of FILE, as another proxy would ask; HOST is then the signed URL's host.
-- Every request is built before the first is sent; at the end of FILE it begins again, which is counted.

local FORM = "application/x-www-form-urlencoded"

local function post(body)
  local headers = { ["Host"] = wrk.headers["Host"], ["Authorization"] = os.getenv("BENCH_AUTHORIZATION"), ["Content-Type"] = FORM }
  return wrk.format("POST", nil, headers, body)
end

local kinds = {
  ["get"] = function() return wrk.format("GET") end,
  ["token"] = function() return post("grant_type=client_credentials") end,
  ["introspect"] = function(token) return post("token=" .. token) end,
  ["forward-auth"] = function(target)
    return wrk.format("GET", nil, {
      ["Host"] = wrk.headers["Host"],
      ["X-Forwarded-Method"] = "GET",
      ["X-Forwarded-Proto"] = "http",
      ["X-Forwarded-Host"] = wrk.headers["Host"],
      ["X-Forwarded-For"] = "203.0.113.7",
      ["X-Forwarded-Uri"] = target,
    })
  end,
}

local threads = {}

function setup(thread)
  threads[#threads + 1] = thread
end

local requests = {}
local at = 0
wraps = 0 -- read by done

function init(args)
  local build, file = kinds[args[1]], args[3]
  wrk.headers["Host"] = args[2]
  if file then
    for line in io.lines(file) do requests[#requests + 1] = build(line) end
  else
    requests[1] = build()
  end
  assert(#requests > 0, "nothing to send")
end

function request()
  at = at + 1
  if at > #requests then
    at, wraps = 1, wraps + 1
  end
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local rate = summary.requests / summary.duration * 1e6
  io.write(("authly-bench %.1f %d %d %d\n"):format(rate, latency:percentile(99), failed, threads[1]:get("wraps")))
end
