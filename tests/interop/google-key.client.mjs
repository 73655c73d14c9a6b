// What a service account may do, found out with Google's libraries and its key file alone: the endpoint is all that is
// configured. Prints one JSON line { call: "ok" | name of the status }. Started by google-key.test.mjs.
import { createRequire } from 'node:module';
import iot from '@google-cloud/iot';
import pubsub from '@google-cloud/pubsub';

const grpc = createRequire(import.meta.url)('@grpc/grpc-js');
const { GATEHOUSE_PROJECT: project, GATEHOUSE_PORT: port, GATEHOUSE_FACE: face, GATEHOUSE_KEY: keyFilename,
  GATEHOUSE_NAME: name } = process.env;
const options = { keyFilename, apiEndpoint: '127.0.0.1', port: Number(port), fallback: face === 'REST' };
const devices = new iot.v1.DeviceManagerClient(options);
const publisher = new pubsub.v1.PublisherClient(options);

const parent = `projects/${project}/locations/europe-west1`;
const registry = `${parent}/registries/halls`;
const device = `${registry}/devices/lamp`;
const calls = {
  getDevice: () => devices.getDevice({ name: device }),
  modifyConfig: () => devices.modifyCloudToDeviceConfig({ name: `${registry}/devices/${name}`, binaryData: Buffer.from('x') }),
  createDevice: () => devices.createDevice({ parent: registry, device: { id: `of-${name}` } }),
  updateRegistry: () => devices.updateDeviceRegistry({
    deviceRegistry: { name: registry, logLevel: 'INFO' }, updateMask: { paths: ['log_level'] },
  }),
  getIamPolicy: () => devices.getIamPolicy({ resource: registry }),
  listTopics: () => publisher.listTopics({ project: `projects/${project}` }),
};

const outcome = {};
for (const [call, run] of Object.entries(calls)) {
  try {
    await run();
    outcome[call] = 'ok';
  } catch (error) {
    try {
      outcome[call] = face === 'REST' ? JSON.parse(error.message).error.status : grpc.status[error.code] ?? error.message;
    } catch { outcome[call] = String(error.stack); }
  }
}
console.log(JSON.stringify(outcome));
process.exit(0);
