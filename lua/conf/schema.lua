--- The one schema of the native dialect: every option with its type, the declarations it may stand in and one line of documentation.
--- Checking (check.lua), inheritance (inherit.lua), JSON Schema, LuaLS stubs and the reference (describe.lua) read it. Defaults are not
--- here: an option that is not written is not in the model, and core/conf/fields.def says what that means.
local t = require "conf.types"
local rule_types = require "conf.rule_types"
local special = require "conf.special"

local M = {}

local field, record, list, map = t.field, t.record, t.list, t.map

local header_value = special.header_value

--- { set = {}, add = {}, remove = {}, default = {} } for one direction.
local function header_ops(what)
  return record {
    field("set", map(special.header_name, header_value:off(), "from names to values"):off(), what .. ": replaces what is there"),
    field("add", map(special.header_name, header_value:off(), "from names to values"):off(), what .. ": stands beside what is there"),
    field("default", map(special.header_name, header_value:off(), "from names to values"):off(), what .. ": only when there is none"),
    field("remove", list(special.header_name, true):off(), what .. ": names to take out"),
  }:off()
end

local timeouts = record {
  field("connect", t.duration, "until the upstream accepts a connection"),
  field("send", t.duration, "between two writes to the upstream"),
  field("read", t.duration, "between two reads from the upstream"),
  field("total", t.duration:off(), "the whole exchange with the upstream, retries included"),
  field("idle", t.duration, "a client connection between two requests", "gs"),
}

local client = record {
  field("header", t.duration, "until a request head is complete, and the TLS handshake", "gs"),
  field("body", t.duration, "between two reads of a request body"),
  field("send", t.duration, "between two writes to the client"),
  field("requests", t.integer(1), "requests on one connection", "gs"),
  field("head", t.size, "request line and header fields together, else 431", "gs"),
  field("target", t.size, "request target, else 414", "gs"),
  field("fields", t.integer(1), "number of header fields, else 431", "gs"),
  field("underscores", t.boolean, "false drops fields with an underscore in the name", "gs"),
  field("invalid", t.enum("reject", "drop"), "what happens to a field with an invalid name: 400, or only the field is dropped", "gs"),
  field("merge_slashes", t.boolean, "routes see repeated slashes as one", "gs"),
}

local buffer = record {
  field("head", t.size, "the longest response head"),
  field("size", t.size, "size of one buffer; size times count is what stays in memory"),
  field("count", t.integer(1), "number of buffers"),
  field("memory", t.size, "bytes of a response kept in memory for a slow client; instead of size and count"),
  field("file", t.size:off(), "bytes of a response kept in a temporary file after that"),
  field("hold", t.boolean, "also hold small pieces back until memory fills or the response ends"),
}

local buffer_request = record {
  field("memory", t.size, "bytes kept in memory, the rest goes to a temporary file"),
}

local retry = record {
  field("tries", t.integer(1, 20), "attempts in all"),
  field("on", list(special.retry_reason), 'what beside a failed connection is repeated: "timeout", "non_idempotent", or statuses'),
}

local access_log = record {
  field("path", special.log_path, 'file, "-" for standard output, or a name with $variables'),
  field("format", t.template, '"json", "combined", or a line with $variables'),
  field("when", t.template, "a text with $variables: lines are written unless it is empty or 0"),
  field("escape", t.enum("default", "json", "none"), "of values in a line with $variables"),
  field("buffer", t.size, "written when so much is there (at the latest after `flush`)"),
  field("flush", t.duration, "longest time a line waits in the buffer"),
  field("gzip", t.integer(1, 9), "compress, at this level"),
}

local log = record {
  field("access", access_log:short(special.log_path, special.log_from_path):several():off(),
    "access log: a path, a table, a list of these, or false"),
  field("error", special.log_path, "error log"),
  field("level", t.enum("debug", "info", "notice", "warn", "error", "crit", "alert", "emerg"), "lowest level in the error log"),
  field("subrequests", t.boolean, "requests that the gateway makes itself (auth, mirror, include) are in the access log too"),
}

local hooks = record {
  field("rewrite", special.hook, "after the route is known: function(req, ctx)"),
  field("access", special.hook, "allow, deny, limit: function(req, ctx)"),
  field("balance", special.hook, "for each attempt: function(attempt, ctx)"),
  field("header", special.hook, "on the response head: function(req, res, ctx)"),
  field("body", special.hook, "on each piece of the response: function(req, chunk, last, ctx)"),
  field("log", special.hook, "after the answer: function(req, res, ctx)"),
}

local matches = map(t.string, special.match_value, "from names to values")

local when = record {
  field("header", matches, "request header fields"),
  field("query", matches, "query arguments"),
  field("cookie", matches, "cookies"),
}

local redirect = record {
  field("to", t.template, "target, $variables allowed"),
  field("status", special.redirect_status, "301, 302, 303, 307 or 308; 302 when not written"),
}

local reply = record {
  field("status", t.integer(200, 599), "200 when not written"),
  field("body", t.template, "text, $variables allowed"),
  field("type", t.string, "Content-Type; text/plain when not written"),
  field("headers", map(special.header_name, header_value, "from names to values"), "more header fields"),
}

local files = record {
  field("root", t.path, "the folder; of a route for one path: the file"),
  field("index", list(t.template, true):off(), 'files that stand for a folder; "index.html" when not written'),
  field("try", list(t.template), 'what is looked for, in this order: "$uri", "$uri/", "/index.html"; a final slash: a folder'),
  field("links", t.enum("inside", "follow", "none", "owner"),
    "symbolic links: those that stay inside (when not written), all, none, those to files of the same owner"),
  field("etag", t.boolean, "files have an ETag"),
  field("precompressed", t.boolean, "sends FILE.zst, FILE.br or FILE.gz that lies beside FILE to clients that accept it"),
  field("ranges", t.integer(1):off(), "how many ranges one request may ask for; false: none"),
  field("otherwise", special.otherwise, 'when nothing of `try` is there: a path, a named route "@name", or a status; 404 when not written'),
  field("types", map(t.string, t.string, "from extensions to media types"), "beside the usual ones"),
  field("default_type", t.string, "media type of other files; application/octet-stream when not written"),
  field("modified", t.enum("before", "exact", "off"), "when If-Modified-Since holds; before when not written"),
  field("log_missing", t.boolean, "a file that is not there is an error in the error log"),
}

local compress = record {
  field("types", list(t.string), 'media types; "*": all; text, JSON, JavaScript, SVG and their like when not written'),
  field("min", t.size, "shorter bodies stay as they are; 256 bytes when not written"),
  field("level", t.integer(1, 9), "effort; each coding's usual one when not written"),
  field("encodings", list(t.enum("zstd", "br", "gzip")), "what is offered, in this order of preference; all three when not written"),
}

local basic_auth = record {
  field("realm", t.template, 'what browsers show; "restricted" when not written'),
  field("users", t.string, 'lines NAME:HASH as htpasswd writes them, such as file "users"'),
  field("delay", t.duration, "before a refusal"),
}

local variables = map(rule_types.var_name, t.template:off(), "from names to texts")

local forward_auth = record {
  field("path", special.own_path, "what is asked first"),
  field("set", variables, 'variables from its answer: { user = "$upstream_http_x_user" }'),
}

local send = record {
  field("method", t.template, "method, instead of the client's"),
  field("body", t.template:off(), "body, instead of the client's; false: none"),
  field("headers", t.boolean, "false: none of the client's fields go up, only request_headers"),
  field("from", t.template:off(), "local address of the connection"),
  field("tcp_keepalive", t.boolean, "TCP keepalive"),
  field("finish", t.boolean, "the exchange goes on when the client is gone"),
}

local upstream_headers = record {
  field("hide", list(special.any_header, true):off(), "fields that clients do not get"),
  field("show", list(special.any_header, true):off(), "fields that clients get though usually not: Server, Date, X-Accel-*"),
  field("ignore", list(special.any_header, true):off(),
    "fields that mean nothing to the gateway: X-Accel-*, Cache-Control, Expires, Set-Cookie, Vary"),
  field("accel_redirect", t.boolean, "X-Accel-Redirect leads to another path or named route of the site"),
  field("trailers", t.boolean, "trailers are passed; true when not written"),
  field("early_hints", t.boolean, "103 is passed; true when not written"),
}

local flag = t.enum("secure", "nosecure", "httponly", "nohttponly", "samesite=strict", "samesite=lax", "samesite=none", "nosamesite")

local cookies = record {
  field("domain", rule_types.rules(t.template, "from domains to domains"):off(), "Domain of Set-Cookie"),
  field("path", rule_types.rules(t.template, "from beginnings of paths to others"):off(), "Path of Set-Cookie"),
  field("flags", rule_types.rules(list(flag, true), "from names of cookies to lists of flags"):off(),
    "what is added to Set-Cookie, or taken off"),
}

local mirror = record({
  field("body", t.boolean, "with the request's body; true when not written"),
}, special.own_path)

local charset = record {
  field("to", t.template, "its name"),
  field("override", t.boolean, "also where the upstream named another"),
  field("types", list(t.string), 'media types; "*": all; text and JavaScript when not written'),
}

local replaced = record {
  field("texts", map(t.string, t.template, "from texts to texts"), "what becomes of which text, whatever its case"),
  field("once", t.boolean, "each the first time only"),
  field("types", list(t.string), 'media types beside text/html; "*": all'),
  field("last_modified", t.boolean, "Last-Modified is kept"),
}

local around = record {
  field("before", special.own_path, "path of this site"),
  field("after", special.own_path, "path of this site"),
  field("types", list(t.string), 'media types beside text/html; "*": all'),
}

local secure_link = record {
  field("said", t.template, 'hash and time of the request: "$arg_md5,$arg_expires"'),
  field("hashed", t.template, 'what the hash must be of: "$secure_link_expires$uri SECRET"'),
  field("secret", t.string, "instead of both: /PREFIX/HASH/LINK"),
}

local referers = record({
  field("none", t.boolean, "no Referer is fine"),
  field("blocked", t.boolean, "one without http:// or https:// is fine"),
}, t.string)

local ssi = record {
  field("types", list(t.string), 'media types beside text/html; "*": all'),
  field("silent", t.boolean, "errors leave nothing in the text"),
  field("last_modified", t.boolean, "Last-Modified is kept"),
  field("value_length", t.integer(1, 65536), "longest value of a parameter"),
}

local trust = record({
  field("header", special.trust_header, 'where the address stands: "X-Forwarded-For", "X-Real-IP", "Forwarded", "proxy_protocol"'),
  field("recursive", t.boolean, "skip trusted addresses from the right"),
}, special.network)

local tls = record {
  field("cert", t.path, "certificate chain, PEM"),
  field("key", t.path, "private key, PEM"),
  field("client", record {
    field("ca", t.path, "authorities, PEM; their names are told to clients"),
    field("trust", t.path, "further authorities, PEM, which are not told"),
    field("verify", t.enum("off", "optional", "on", "any"), 'must there be a certificate? "on" when not written; "any": whoever signed it'),
    field("depth", t.integer(0, 100), "length of the chain"),
    field("crl", t.path, "certificates that are revoked, PEM"),
  }, "client certificates; what they say is in $ssl_client_*"),
  field("protocols", list(t.enum("TLSv1.2", "TLSv1.3"), true), "protocol versions"),
  field("ciphers", t.string, "TLS 1.2 cipher list in OpenSSL's notation"),
  field("curves", list(t.string, true), "groups of the key exchange, in order"),
  field("prefer_server", t.boolean, "our order of ciphers, not the client's"),
  field("dhparam", t.path, "Diffie-Hellman parameters, PEM"),
  field("passwords", list(t.string, true), "of encrypted keys"),
  field("reject", t.boolean, "no handshake for the site's names"),
  field("session", record {
    field("cache", t.string:off(), "sites that name the same one resume each other's sessions; false: none are kept"),
    field("timeout", t.duration, "how long a session can be resumed"),
    field("tickets", t.boolean, "sessions kept by the client"),
  }, "resumption"),
}

--- Options that gateway, site and route share. Written on the outer one they hold for the inner ones.
local shared = {
  field("proxy", special.proxy, "where requests go: an upstream, its name, or a URL", "sr"),
  field("redirect", redirect:short(t.template, special.redirect_from_string), "answers with a redirect", "sr"),
  field("reply", reply, "answers from here", "sr"),
  field("files", files:short(t.path, special.files_from_path), "answers with files: a folder, or a table", "sr"),
  field("expires", t.template:off(),
    'how long answers hold: "1h", "-1", "@15h30m", "epoch", "max"; "modified 1h": from Last-Modified on', "gsr"),
  field("errors", rule_types.errors:off(), 'pages for errors: { [404] = "/404.html", ["5xx"] = { file = "50x.html" } }', "gsr"),
  field("set", variables:off(), "variables with these values, once the route is known", "gsr"),
  field("rewrite", rule_types.rules(t.template, "from beginnings of paths, or patterns, to what takes their place"):off(),
    "another path goes on; the route stays", "gsr"),
  field("host", t.template, 'Host sent upstream; the client\'s when not written', "gsr"),
  field("timeouts", timeouts, "towards the upstream", "gsr"),
  field("client", client, "limits towards the client", "gsr"),
  field("body_limit", t.size:off(), "request body, else 413; false: none", "gsr"),
  field("buffer", buffer:on(), "buffering of responses", "gsr"),
  field("buffer_request", buffer_request:on(), "asks the upstream only when the whole request body is here", "gsr"),
  field("retry", retry:off(), "further attempts; false: none", "gsr"),
  field("http", t.enum("1.0", "1.1"), "HTTP version towards the upstream", "gsr"),
  field("compress", compress:on(), "compresses responses for clients that accept it", "gsr"),
  field("websocket", record { field("idle", t.duration, "closes a silent tunnel") }:on(), "upgrades to WebSocket", "gsr"),
  field("headers", header_ops("response header"), "changes the response header", "gsr"),
  field("request_headers", header_ops("request header"), "changes the header sent upstream", "gsr"),
  field("send", send, "what else goes upstream differently", "gsr"),
  field("upstream_headers", upstream_headers, "fields of the upstream's answer", "gsr"),
  field("cookies", cookies:off(), "changes Set-Cookie of the upstream", "gsr"),
  field("security", t.enum("strict"):off(), "header fields that make browsers careful", "gsr"),
  field("rate", special.rate:off(), "bytes a second to a client; false: no limit", "gsr"),
  field("rate_after", special.rate, "bytes that go before the rate counts", "gsr"),
  field("upstream_rate", special.rate:off(), "bytes a second from the upstream", "gsr"),
  field("access", list(special.access_rule):off(), 'addresses, the first that holds decides: { "allow 10.0.0.0/8", "deny all" }', "gsr"),
  field("basic_auth", basic_auth:off(), "user and password; false: not asked", "gsr"),
  field("forward_auth", forward_auth:short(special.own_path, special.short_for "path"):off(),
    "path of this site that is asked first: 2xx lets pass, 401 and 403 refuse; false: none", "gsr"),
  field("satisfy", t.enum("all", "any"), 'of access, basic_auth and forward_auth: "any" is enough', "gsr"),
  field("mirror", mirror:short(special.own_path, special.short_for(1)):off(), "paths of this site that get a copy of each request", "gsr"),
  field("ssi", ssi:on(), "server-side includes are carried out", "gsr"),
  field("charset", charset:short(t.template, special.short_for "to"):off(), "charset that Content-Type names", "gsr"),
  field("replace", replaced:off(), "texts of answers that are replaced", "gsr"),
  field("around", around:off(), "what other paths answer, around an answer", "gsr"),
  field("trailers", map(special.header_name, header_value:off(), "from names to values"):off(),
    "fields behind the body of an answer", "gsr"),
  field("secure_link", secure_link:off(), "signed links: $secure_link is 1, 0 (expired) or empty", "gsr"),
  field("referers", referers:off(), 'who may refer here: { "*.example.com", none = true }; all others make $invalid_referer 1', "gsr"),
  field("gunzip", t.boolean, "unpacks gzip for clients that do not accept it", "gsr"),
  field("forwarded", t.boolean, "X-Real-IP and X-Forwarded-For, -Proto, -Host", "gsr"),
  field("via", t.boolean, "adds Via", "gsr"),
  field("rewrite_location", rule_types.rules(t.template, "from beginnings of URLs, or patterns, to others"):on(),
    "maps a Location that names the upstream back; a table: what Location and Refresh become", "gsr"),
  field("cache", t.later("cache"), "stores responses", "gsr"),
  field("log", log, "logs", "gsr"),
  field("use", list(special.policy):off(), "policies, in this order; false: none of the outer ones", "gsr"),
  field("on", hooks:off(), "inline hooks, after the policies", "gsr"),
}

local http2 = record {
  field("streams", t.integer(1, 65535), "requests at a time on one connection"),
}

--- Options of gateway and site: what is decided before a route is known.
local outer = {
  field("listen", list(special.listen, true), 'addresses: ":8080", "127.0.0.1:8443 tls", "unix:/run/x.sock", ":81 proxy_protocol"', "gs"),
  field("trust", trust:off(), "networks whose forwarded headers are believed", "gs"),
  field("http2", http2:on(), "HTTP/2 to clients: over TLS unless false; on plain ports, without negotiation, only when written", "gs"),
  field("http_redirect", t.boolean, "a TLS site answers plain HTTP with a redirect", "gs"),
}

local function concat(...)
  local out = {}
  for _, fields in ipairs { ... } do
    for _, f in ipairs(fields) do
      out[#out + 1] = f
    end
  end
  return out
end

M.gateway = record(concat({
  field("workers", special.workers, "worker processes"),
  field("user", t.string, "user the workers run as when started as root"),
  field("group", t.string, "group the workers run as"),
  field("pid", t.path, "pid file"),
  field("temp_dir", t.path, "where bodies are spilled"),
  field("resolver", list(t.string, true), "DNS servers"),
  field("shutdown", t.duration, "how long a graceful stop waits"),
  field("admin", record {
    field("socket", t.path, "unix socket of the admin interface"),
    field("state", t.path, "file that keeps what `moongate upstream` changed"),
    field("listen", t.later("admin.listen"), "TCP address of the admin interface"),
  }, "admin interface"),
  field("limits", record {
    field("connections", t.integer(1):off(), "client connections per worker"),
    field("per_address", t.integer(1):off(), "client connections per address and worker"),
  }, "bounds of a worker"),
  field("scripts", record {
    field("cpu", t.duration, "CPU time of one hook call"),
    field("memory", t.size, "memory of a worker's Lua state"),
    field("watchdog", t.duration, "a worker stuck in a hook this long is replaced"),
  }, "bounds of hooks"),
  field("probation", t.duration, "how long the previous generation stays warm after a reload"),
  field("watch", t.boolean, "reload when a file of the configuration changes"),
  field("server_header", t.boolean, "send a Server field"),
  field("shared", map(t.string, t.size, "from names to sizes"), 'shared dictionaries: { sessions = "4m" }'),
  field("vars", map(rule_types.var_name, rule_types.var, "from names to texts or tables"), "variables made of others, for all sites"),
}, outer, shared))

M.site = record(concat({
  field("tls", special.tls(tls), "certificate: a folder with fullchain.pem and privkey.pem, { cert =, key = }, or a list of them"),
}, outer, shared), special.route)

M.route = record(concat({
  field("methods", list(special.method, true), "only these methods"),
  field("when", when, "only requests with these header fields, query arguments, cookies"),
  field("strip_prefix", t.boolean, "takes the route's prefix off the path before it goes upstream"),
  field("internal", t.boolean, "only internal redirects (errors, files, X-Accel-Redirect) lead here"),
  field("slash_redirect", t.boolean, 'answers "/x" of a route "/x/*" with a redirect to "/x/"'),
}, shared))

M.upstream = record({
  field("balance", t.enum("round_robin", "least_conn", "random_two", "hash", "least_time", "ip_hash"), "how a peer is chosen"),
  field("hash", t.template, 'what is hashed when balance = "hash": "$remote_addr"'),
  field("keepalive", record {
    field("idle", t.integer(0), "idle connections per worker"),
    field("requests", t.integer(1), "requests on one connection"),
    field("timeout", t.duration, "closes an idle connection"),
    field("age", t.duration, "an older connection is closed after its request"),
  }:off(), "connections kept for reuse; false: none"),
  field("health", record {
    field("passive", record {
      field("fails", t.integer(1), "failures within the window that take a peer out"),
      field("window", t.duration, "failures are counted in it, and a peer stays out that long"),
      field("panic", t.integer(0, 100), "percent of the peers that may be out at once"),
    }:off(), "what failures of real requests mean; false: nothing"),
    field("active", record {
      field("type", t.enum("http", "tcp", "grpc"), "http asks for a path, tcp only connects, grpc asks grpc.health.v1.Health"),
      field("service", t.string, "grpc: whose health is asked for; the whole server's when not written"),
      field("path", t.string, "what is asked for"),
      field("method", t.string, "how"),
      field("host", t.string, "Host; the peer's name or address when not written"),
      field("headers", map(t.string, t.string, "from names to values"), "more request fields"),
      field("every", t.duration, "pause between checks of a peer"),
      field("jitter", t.integer(0, 100), "percent that pauses vary by"),
      field("timeout", t.duration, "of a whole check"),
      field("rise", t.integer(1, 1000), "successes in a row that bring a peer back"),
      field("fall", t.integer(1, 1000), "failures in a row that take it out"),
      field("port", t.integer(1, 65535), "instead of the peer's"),
      field("expect", record {
        field("status", list(special.status_pattern or t.string), "good statuses: 200, \"2xx\""),
        field("body", t.string, 'a part of the body, or "~ regex"'),
      }, "the answer of a peer that is well"),
    }:off(), "asks peers whether they are well; one worker does it for all"),
    field("outlier", record {
      field("window", t.duration, "requests are looked at in it"),
      field("requests", t.integer(1), "fewer say nothing"),
      field("errors", t.integer(0, 100), "percent of failures and 5xx that take a peer out; 0: not looked at"),
      field("latency", t.integer(0), "percent of the other peers' mean time that take a peer out; 0: not looked at"),
      field("out", t.duration, "time out, times the number of times in a row"),
      field("max_out", t.duration, "at most"),
      field("share", t.integer(0, 100), "percent of the peers that may be out at once"),
    }:off(), "takes out peers that are worse than the others"),
    field("slow_start", t.duration, "a peer that recovers gets its share step by step"),
  }, "which peers are used"),
  field("http2", t.boolean, "HTTP/2 to the peers (gRPC): by prior knowledge, with TLS when they choose it"),
  field("retry_budget", t.integer(1, 100):off(), "retries as percent of requests; false: no limit"),
  field("tls", record {
    field("verify", t.boolean, "verify the certificate"),
    field("name", t.template, "SNI and name in the certificate; the Host sent when not written"),
    field("ca", t.path, "authorities, PEM; the system's when not written"),
    field("cert", t.path, "client certificate, PEM"),
    field("key", t.path, "its key, PEM"),
    field("crl", t.path, "certificates that are revoked, PEM"),
    field("depth", t.integer(0, 100), "length of the chain"),
    field("protocols", list(t.enum("TLSv1.2", "TLSv1.3"), true), "protocol versions"),
    field("ciphers", t.string, "TLS 1.2 cipher list in OpenSSL's notation"),
    field("sni", t.boolean, "false: no name is sent"),
    field("resume", t.boolean, "false: every connection has a full handshake"),
  }:on(), "TLS to the peers"),
}, special.peer(record({
  field("weight", t.integer(1, 65535), "share of the requests"),
  field("backup", t.boolean, "only when no other is usable"),
  field("down", t.boolean, "never"),
  field("max_conns", t.integer(0), "requests at once per worker; 0: no limit"),
  field("fails", t.integer(0), "instead of health.passive.fails"),
  field("window", t.duration, "instead of health.passive.window"),
}, t.string)))

--- Header fields of `security = "strict"`: sent on every answer, error pages too, unless the upstream sent its own.
M.strict = {
  { "Strict-Transport-Security", "max-age=31536000; includeSubDomains" },
  { "X-Content-Type-Options", "nosniff" },
  { "X-Frame-Options", "SAMEORIGIN" },
  { "Referrer-Policy", "strict-origin-when-cross-origin" },
  { "Permissions-Policy", "camera=(), microphone=(), geolocation=()" },
}

--- Line of the access log format "combined".
M.combined = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'

return M
