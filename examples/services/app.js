// A small service on Node's own http module: says what it received, echoes WebSocket messages, takes
// uploads, sends events. PORT (default 3000; 0: any free one) and NAME come from the environment.
"use strict";
const crypto = require("crypto");
const http = require("http");

const name = process.env.NAME || "node";

function json(res, status, value) {
  const text = JSON.stringify(value) + "\n";
  res.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) });
  res.end(text);
}

function events(req, res) {
  res.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  let n = 0;
  const tick = () => res.write(`data: ${name} ${++n}\n\n`);
  tick();
  const timer = setInterval(tick, 100);
  req.on("close", () => clearInterval(timer));
}

function upload(req, res) {
  const hash = crypto.createHash("sha256");
  let bytes = 0;
  req.on("data", (chunk) => { bytes += chunk.length; hash.update(chunk); });
  req.on("end", () => json(res, 200, { bytes, sha256: hash.digest("hex") }));
}

const server = http.createServer((req, res) => {
  const path = req.url.split("?")[0];
  if (path === "/events") return events(req, res);
  if (path === "/upload") return upload(req, res);
  if (path === "/fail") return json(res, 500, { service: name, error: "asked for" });
  if (path === "/hang") return undefined; // never answers: what timeouts are for
  req.resume();
  return json(res, 200, { service: name, connection: req.socket.number, method: req.method, url: req.url, headers: req.headers });
});

let connections = 0;
server.on("connection", (socket) => { socket.number = ++connections; });

// WebSocket, RFC 6455: text and binary messages of one frame come back as they are.
function frame(opcode, payload) {
  const n = payload.length;
  let head;
  if (n < 126) {
    head = Buffer.from([0x80 | opcode, n]);
  } else if (n < 65536) {
    head = Buffer.from([0x80 | opcode, 126, n >> 8, n & 255]);
  } else {
    head = Buffer.alloc(10);
    head[0] = 0x80 | opcode;
    head[1] = 127;
    head.writeBigUInt64BE(BigInt(n), 2);
  }
  return Buffer.concat([head, payload]);
}

// The first frame of `data`: { opcode, payload, size }, or null when more bytes are needed.
function parse(data) {
  if (data.length < 2) return null;
  let n = data[1] & 127, at = 2;
  if (n === 126) {
    if (data.length < 4) return null;
    n = data.readUInt16BE(2);
    at = 4;
  } else if (n === 127) {
    if (data.length < 10) return null;
    n = Number(data.readBigUInt64BE(2));
    at = 10;
  }
  if (data.length < at + 4 + n) return null;
  const mask = data.subarray(at, at + 4);
  const payload = Buffer.from(data.subarray(at + 4, at + 4 + n));
  for (let i = 0; i < n; i++) payload[i] ^= mask[i & 3];
  return { opcode: data[0] & 15, payload, size: at + 4 + n };
}

server.on("upgrade", (req, socket, head) => {
  const key = req.headers["sec-websocket-key"];
  if (!key || (req.headers.upgrade || "").toLowerCase() !== "websocket") return socket.end("HTTP/1.1 400 Bad Request\r\n\r\n");
  const accept = crypto.createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");
  socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  let data = head;
  const take = () => {
    for (let f = parse(data); f; f = parse(data)) {
      data = data.subarray(f.size);
      if (f.opcode === 8) return socket.end(frame(8, f.payload.subarray(0, 2)));
      socket.write(frame(f.opcode === 9 ? 10 : f.opcode, f.payload)); // a ping becomes a pong
    }
    return undefined;
  };
  socket.on("data", (chunk) => { data = Buffer.concat([data, chunk]); take(); });
  socket.on("error", () => socket.destroy());
  return take();
});

server.keepAliveTimeout = 75000; // longer than the gateway keeps a connection: the gateway closes first
server.listen(Number(process.env.PORT || 3000), "127.0.0.1", () => {
  process.stderr.write(`${name}: listening on 127.0.0.1:${server.address().port}\n`);
});
process.on("SIGTERM", () => process.exit(0));
