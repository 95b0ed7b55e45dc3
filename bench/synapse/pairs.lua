-- For wrk: asks for the mutual rooms of the pairs of a file, in its order, again from the beginning after the last. A line is an
-- access token, a tab and a path. Says what came of it as one line of JSON.
local requests = {}
local at = 0

function init(args)
  for line in io.lines(args[1]) do
    local token, path = line:match('^(.-)\t(.*)$')
    requests[#requests + 1] = wrk.format('GET', path, { ['Authorization'] = 'Bearer ' .. token })
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50":%d,"p99":%d,"most":%d,"failed":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99), latency.max,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
