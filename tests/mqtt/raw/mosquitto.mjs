// Where Debian's mosquitto 2.0.11 does otherwise than the standard says, or has not what a row needs: name of the row (or
// "name (version)") -> why. These rows are left out against mosquitto alone, each shown as skipped with its reason.
const credentials = 'runs without credentials here';
const method = 'has no authentication method of its own';
const flags = 'takes flags that are reserved';
const direction = 'takes a packet that only a server may send';
const body = 'ignores what follows the end';
const value = 'does not look at the value';

export const differs = {
  'wrong credentials are refused with their code, and closed': credentials,
  'a client that connects again takes the place of the old connection (5.0)': 'closes without DISCONNECT 0x8E',
  'closed for PUBACK with flags': flags,
  'closed for PUBREC with flags': flags,
  'closed for PUBCOMP with flags': flags,
  'closed for PINGREQ with flags': flags,
  'closed for a packet that only a server sends: SUBACK': direction,
  'closed for a packet that only a server sends: UNSUBACK': direction,
  'closed for a packet that only a server sends: PINGRESP': direction,
  'closed for PUBACK with bytes after its end': body,
  'closed for PINGREQ with a body': body,
  'closed for payload format indicator 2': value,
  'closed for a response topic with a wildcard': value,
  'closed for PUBLISH with a subscription identifier': 'takes a subscription identifier from a publisher',
  'closed for no local on a shared subscription': value,
  'CONNECT refused for authentication data without a method': value,
  'CONNECT refused for a will with payload format 2': value,
  'closed for a share name that is none, or SUBACK says failure': 'grants $share//a',
  'a QoS 2 message that comes twice before PUBREL is answered twice and passed on once': 'ends the connection at the third copy',
  'a QoS 2 exchange that has begun is finished though its message expired': 'drops a message that is in flight',
  'a message that matches several subscriptions comes with the highest of their QoS (3.1.1)': 'takes the QoS of the first that matches',
  'retained messages are not sent to a new shared subscription': 'sends them',
  'the server keeps to the receive maximum of the client and sends on as it is acknowledged':
    'sends all that waits after the first acknowledgement',
  'no packet is larger than the client takes; a message that is counts as delivered': 'a dropped message keeps its place in the quota',
  'a method that the server knows is repeated in CONNACK and AUTH, and a renewal succeeds': method,
  'a renewal that fails ends the connection': method,
  'a renewal with another method ends the connection': method,
  'over WebSocket a frame that is not binary ends the connection': 'takes a text frame for MQTT',
};
