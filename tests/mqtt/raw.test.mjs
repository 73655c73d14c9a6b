// MQTT 3.1.1 and 5.0 by raw bytes: every row of raw/*.mjs against the server that MQTT_SERVER names. A row says which
// normative statements it covers; docs/protocols/mqtt-statements.md is made from them. Where a statement leaves a choice
// a row asserts only what is demanded. MQTT_ROW (a regular expression) picks rows by name.
import { after, before, describe, test } from 'node:test';
import { patience } from '../lib/sanitizer.mjs';
import { Context } from './lib/context.mjs';
import { differs as mosquittoDiffers } from './raw/mosquitto.mjs';
import { rows, versionName } from './raw/rows.mjs';
import { chosen, startServer } from './servers.mjs';

let server;
const wanted = new RegExp(process.env.MQTT_ROW ?? '');

before(async () => { server = await startServer(); });
after(() => server?.close());

describe('raw', { concurrency: 8 }, () => {
  for (const row of rows) {
    for (const version of row.versions) {
      const name = `${row.name} (${versionName[version]})`;
      if (!wanted.test(name)) continue;
      const differs = chosen === 'mosquitto' && (mosquittoDiffers[name] ?? mosquittoDiffers[row.name]);
      test(name, { skip: differs ? `mosquitto: differs: ${differs}` : false, timeout: 60000 * patience }, async () => {
        const context = new Context(server, version);
        try {
          await row.run(context);
          for (const peer of context.peers) if (peer.failure) throw peer.failure;
        } finally {
          context.close();
        }
      });
    }
  }
});
