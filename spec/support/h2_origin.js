// An HTTP/2 origin for specs, by prior knowledge or (with certificate and key) under TLS: says its port, then answers by path.
const http2 = require('http2'), fs = require('fs');
const [cert, key] = process.argv.slice(2);
const server = cert ? http2.createSecureServer({ cert: fs.readFileSync(cert), key: fs.readFileSync(key), allowHTTP1: true }) : http2.createServer();
let sessions = 0;
server.on('session', () => { sessions++; });
// Node's compatibility layer sends trailers of its own: only where HTTP/1 needs it.
if (cert) { server.on('request', (req, res) => { if (req.httpVersion === '1.1') { res.end('http/1.1'); } }); }
server.on('error', () => {});
server.on('sessionError', () => {});
server.on('stream', (stream, headers) => {
  stream.on('error', () => {});
  const path = headers[':path'], url = new URL(path, 'http://x');
  const body = [];
  const answers = {
    '/echo': () => {
      stream.on('data', (d) => body.push(d));
      stream.on('end', () => {
        stream.respond({ ':status': 200, 'content-type': 'application/json' });
        stream.end(JSON.stringify({ headers, length: Buffer.concat(body).length, sessions }));
      });
    },
    '/trailers': () => {
      stream.respond({ ':status': 200, 'x-a': '1' }, { waitForTrailers: true });
      stream.once('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }));
      stream.end('body');
    },
    '/big': () => {
      stream.respond({ ':status': 200 });
      const piece = Buffer.alloc(65536, 'x');
      let left = Number(url.searchParams.get('n'));
      const more = () => {
        while (left > 0) {
          const n = Math.min(left, piece.length);
          left -= n;
          if (!stream.write(piece.subarray(0, n))) { stream.once('drain', more); return; }
        }
        stream.end();
      };
      more();
    },
    '/mirror': () => {
      stream.respond({ ':status': 200 });
      stream.pipe(stream);
    },
    '/hints': () => {
      stream.additionalHeaders({ ':status': 103, link: '</a.css>' });
      stream.respond({ ':status': 204 });
      stream.end();
    },
    '/reset': () => stream.close(http2.constants.NGHTTP2_INTERNAL_ERROR),
    '/refuse': () => stream.close(url.searchParams.get('once') === String(sessions) ? http2.constants.NGHTTP2_REFUSED_STREAM : 0),
    '/cut': () => {
      stream.respond({ ':status': 200 });
      stream.write('half', () => setTimeout(() => stream.destroy(new Error('cut')), 20));
    },
    '/goaway': () => {
      stream.session.goaway(0, stream.id);
      stream.respond({ ':status': 200 });
      stream.end('last');
    },
    '/ping': () => {
      stream.respond({ ':status': 200 });
      stream.end('ok');
      const session = stream.session;
      setImmediate(() => session.ping(() => fs.writeSync(2, 'pong\n')));
    },
    '/huge-head': () => {
      stream.respond({ ':status': 200, 'x-big': 'y'.repeat(60000) });
      stream.end();
    },
    '/hang': () => {},
    '/empty': () => stream.respond({ ':status': 200, 'grpc-status': '7' }, { endStream: true }),
  };
  const answer = answers[url.pathname];
  if (answer) { answer(); } else { stream.respond({ ':status': 404 }); stream.end(); }
});
server.listen(0, '127.0.0.1', () => fs.writeSync(1, server.address().port + '\n'));
