// What every client of the scenarios has: messages that came, taken one by one; waiting is bounded.
import { patience } from '../../lib/sanitizer.mjs';

export class Inbox {
  limitMs = Number(process.env.MQTT_LIMIT_MS ?? 20000 * patience);
  unread = [];
  waiting = [];

  arrived(message) {
    const at = this.waiting.findIndex(({ when }) => when(message));
    if (at < 0) this.unread.push(message);
    else this.waiting.splice(at, 1)[0].done(message);
  }

  message(when = () => true) {
    const at = this.unread.findIndex(when);
    if (at >= 0) return Promise.resolve(this.unread.splice(at, 1)[0]);
    return new Promise((done, fail) => {
      const entry = { when, done: (message) => { clearTimeout(timer); done(message); } };
      const timer = setTimeout(() => {
        this.waiting.splice(this.waiting.indexOf(entry), 1);
        fail(new Error(`no message within ${this.limitMs} ms; unread: ${this.unread.map(({ topic }) => topic).join(' ')}`));
      }, this.limitMs);
      this.waiting.push(entry);
    });
  }

  async messages(count) {
    const got = [];
    while (got.length < count) got.push(await this.message());
    return got;
  }
}

// Lines of a child's output, one by one.
export function lines(stream, take) {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk) => {
    const all = (rest + chunk).split('\n');
    rest = all.pop();
    for (const line of all) take(line);
  });
}
