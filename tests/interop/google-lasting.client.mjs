// A consumer that lives longer than the server it listens to: says each message on a line and ends with the one named
// "after". An error that reaches it ends it with 1.
import { createRequire } from 'node:module';
import { PubSub } from '@google-cloud/pubsub';

const { OAuth2Client } = createRequire(import.meta.url)('google-auth-library');
const { GATEHOUSE_PROJECT: projectId, GATEHOUSE_HOST: host, GATEHOUSE_PORT: port, GATEHOUSE_TOKEN: token } = process.env;
const authClient = new OAuth2Client();
authClient.setCredentials({ access_token: token });
const pubsub = new PubSub({ projectId, emulatorMode: false, apiEndpoint: `${host}:${port}`, authClient });
const subscription = pubsub.subscription('lasting');
subscription.on('error', (error) => { console.error(error); process.exit(1); });
subscription.on('message', async (message) => {
  const text = message.data.toString();
  console.log(text);
  message.ack();
  if (text !== 'after') return;
  await subscription.close();
  await pubsub.close();
});
