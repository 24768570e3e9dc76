-- Inline hooks in every phase. What is used twice belongs in a policy of its own (docs/policies.md); inline hooks are for the
-- one thing that one route needs. Hooks run after the policies of the route, in the order gateway, site, route.
local function here(name, default)
  return "127.0.0.1:" .. env(name, default)
end

gateway {
  workers = 1,
  listen  = here("PORT", "8080"),
  shared  = { counters = "64k" },            -- mg.shared.counters: one memory for all workers, survives reloads
  log     = { access = false },
}

local one = upstream "one" { here("ONE_PORT", "3000") }
local two = upstream "two" { here("TWO_PORT", "3001") }
local both = upstream "both" { here("ONE_PORT", "3000"), here("TWO_PORT", "3001") }
local favourite = here("TWO_PORT", "3001")

site "*" {
  proxy = one,

  -- rewrite: path, query, headers, upstream; or another route
  route "/v1/*" {
    on = {
      rewrite = function(req)
        req.path = req.path:gsub("^/v1", "")
        req.headers["X-Api-Version"] = "1"
        if req.query.beta then
          req.upstream = two
        end
      end,
    },
  },

  -- access: allow or answer. `ctx` is this request's own table, shared by all its hooks.
  route "/members" {
    on = {
      access = function(req, ctx)
        if not req.headers["Authorization"] then
          return req:reply(401, "who are you?\n", { ["WWW-Authenticate"] = "Bearer" })
        end
        ctx.visits = mg.shared.counters:incr("visits", 1, 0)
      end,
      header = function(_, res, ctx)
        if ctx.visits then
          res.headers["X-Visits"] = ctx.visits
        end
      end,
    },
  },

  -- any hook may wait; other requests go on meanwhile
  route "/slow" {
    on = {
      access = function()
        mg.sleep(0.05)
      end,
    },
  },

  -- balance: names the peer of an attempt
  route "/pinned" {
    proxy = both,
    on = {
      balance = function()
        return favourite
      end,
    },
  },

  -- body: each piece of the response, replaced as it passes
  route "/shout" {
    on = {
      body = function(_, chunk)
        return chunk:upper()
      end,
    },
  },

  -- log: after the answer, the client is gone already
  route "/logged" {
    on = {
      log = function(req, res)
        mg.log.notice("answered ", req.path, " with ", res.status)
      end,
    },
  },
}
