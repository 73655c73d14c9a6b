// The client libraries of the scenarios. An adapter: { name, version, can (a set of abilities), cannot (ability -> why),
// missing (why it cannot run here at all), open(server, options), resume(server, client) }. Options: id; stored, with expiry in
// seconds in MQTT 5; will { topic, payload, qos, retain, delay }; keepAlive. A client: subscribe(filters, qos, { noLocal }),
// unsubscribe(filter), publish(topic, payload, { qos, retain, responseTopic, correlationData, contentType, user, expiry }), which
// resolves when acknowledged, publishMany(topic, payloads, qos), message(when), messages(count), drop() (as a power cut),
// end() (in order), lost (a promise).
import mosquitto from './mosquitto.mjs';
import mqttjs from './mqttjs.mjs';
import pahoJs from './paho-js.mjs';
import paho from './paho.mjs';

export const adapters = [...mqttjs, ...mosquitto, ...paho, ...pahoJs];
