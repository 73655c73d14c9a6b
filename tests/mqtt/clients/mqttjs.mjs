// MQTT.js, as 3.1.1 and as 5.
import mqtt from 'mqtt';
import { Inbox } from './inbox.mjs';

const features = ['binary', 'unsubscribe', 'many', 'resume', 'shared', 'handsOver1', 'handsOver2', 'signOff'];

class Client extends Inbox {
  constructor(client, options, version) {
    super();
    Object.assign(this, { client, options, version });
    client.on('message', (topic, payload, { qos, retain, properties = {} }) => this.arrived({ topic, payload, qos, retain,
      responseTopic: properties.responseTopic, correlationData: properties.correlationData, contentType: properties.contentType,
      user: Object.entries(properties.userProperties ?? {})[0] }));
    this.lost = new Promise((done) => { client.once('close', done); });
  }

  async subscribe(filters, qos, { noLocal } = {}) {
    const granted = await this.client.subscribeAsync([filters].flat(), { qos, ...(this.version === 5 ? { nl: noLocal } : {}) });
    if (granted.some((one) => one.qos >= 0x80)) throw new Error('SUBACK says failure');
  }

  unsubscribe(filter) { return this.client.unsubscribeAsync(filter); }

  publish(topic, payload, { qos = 0, retain = false, responseTopic, correlationData, contentType, user, expiry } = {}) {
    const properties = this.version === 5
      ? Object.fromEntries(Object.entries({ responseTopic, correlationData, contentType, messageExpiryInterval: expiry,
        userProperties: user && { [user[0]]: user[1] } }).filter(([, value]) => value !== undefined)) : undefined;
    return this.client.publishAsync(topic, payload, { qos, retain, properties });
  }

  // Twenty on the way at a time: MQTT.js does not keep to the receive maximum of a server by itself.
  async publishMany(topic, payloads, qos) {
    const window = [];
    for (const payload of payloads) {
      if (window.length === 20) await window.shift();
      window.push(this.publish(topic, payload, { qos }));
    }
    await Promise.all(window);
  }

  async drop() { this.client.stream.destroy(); await this.lost; this.client.end(true); }
  async end() { await this.client.endAsync(); }
}

// What is in flight outlives the client object, as it would on a device that keeps it.
const freshStores = () => ({ incomingStore: new mqtt.Store({ clean: false }), outgoingStore: new mqtt.Store({ clean: false }) });

function adapter(version) {
  const open = (server, options, stores = freshStores()) => new Promise((done, fail) => {
    const { id, stored, will, keepAlive = 60 } = options;
    const v5 = version === 5;
    const client = mqtt.connect(server.url, {
      protocolVersion: version, clientId: id, ca: server.ca, ...server.identity(), clean: !stored, keepalive: keepAlive,
      reconnectPeriod: 0, connectTimeout: 20000, ...stores,
      properties: v5 && stored ? { sessionExpiryInterval: options.expiry ?? 300 } : undefined,
      will: will && { topic: will.topic, payload: will.payload, qos: will.qos ?? 0, retain: will.retain ?? false,
        properties: v5 && will.delay ? { willDelayInterval: will.delay } : undefined },
    });
    // The listener has to be there before the messages that come right after CONNACK.
    const wrapped = Object.assign(new Client(client, options, version), { stores });
    client.once('connect', () => done(wrapped));
    client.on('error', fail);
    client.once('close', () => fail(new Error('closed before CONNACK')));
  });
  return {
    name: `MQTT.js ${version === 5 ? '5' : '3.1.1'}`, version, can: new Set([...features, ...(version === 5 ? ['v5', 'noLocal'] : [])]),
    open,
    // The same client after a break: what was in flight stays with it.
    resume: (server, { options, stores }) => open(server, options, stores),
  };
}

export default [adapter(4), adapter(5)];
