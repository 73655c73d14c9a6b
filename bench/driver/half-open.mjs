// Connections that stay in the middle of their TLS handshake.
import net from 'node:net';
import { Duplex } from 'node:stream';
import tls from 'node:tls';

export const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });

// The first flight of a real client.
export function clientHello() {
  return new Promise((done) => {
    const wire = new Duplex({ read() {}, write(chunk) { done(chunk); } });
    tls.connect({ socket: wire, servername: 'localhost' }).on('error', () => {});
  });
}

// Keeps `count` connections in the middle of their handshake: a third says nothing, a third a few bytes, a third a whole
// ClientHello and nothing more. Who is closed is dialled again.
export function keepHalfOpen(port, count, hello) {
  const beginnings = [Buffer.alloc(0), Buffer.from([0x16, 3, 1, 2]), hello];
  const sockets = new Set();
  let stopped = false, dialled = 0;
  const dial = (kind) => {
    if (stopped) return;
    dialled++;
    const socket = net.connect(port, '127.0.0.1', () => socket.write(beginnings[kind]));
    sockets.add(socket);
    socket.on('error', () => {});
    socket.resume();
    socket.on('close', () => { sockets.delete(socket); setTimeout(dial, 10, kind); });
  };
  const begin = async () => { for (let i = 0; i < count; i++) { dial(i % 3); if (i % 100 === 99) await pause(5); } };
  return { begun: begin(), open: () => sockets.size, dialled: () => dialled, stop: () => { stopped = true; sockets.forEach((socket) => socket.destroy()); } };
}
