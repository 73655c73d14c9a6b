// What happened between clients and a server, and whether it may have. Topics are data/PUBLISHER, jobs (shared) and
// state/PUBLISHER (retained); a message is "PUBLISHER QOS NUMBER", numbers rising from 0 within each publisher, QoS and topic.
export class History {
  sent = new Map(); // "topic message" -> { topic, publisher, qos, number }
  acknowledged = new Set(); // of those, the ones that the server took for good
  delivered = new Map(); // subscriber -> ["topic message", …] in order
  jobs = []; // ["topic message", …] of all members of the shared subscription
  retained = []; // { publisher, atLeast, atMost, got }: a look at a retained message
  wrong = []; // what a client saw that may never be

  send(topic, publisher, qos, number) {
    const key = `${topic} ${publisher} ${qos} ${number}`;
    this.sent.set(key, { topic, publisher, qos, number });
    return key;
  }
}

const times = (list) => {
  const counts = new Map();
  for (const one of list) counts.set(one, (counts.get(one) ?? 0) + 1);
  return counts;
};
const isJob = (topic) => topic === 'jobs';
const isData = (topic) => topic.startsWith('data/');

// What one receiver (or all members of a group together) was sent: nothing that was not sent, QoS 2 once, nothing missing.
function checkCopies(history, who, list, wanted, found) {
  const counts = times(list);
  for (const [key, count] of counts) {
    const message = history.sent.get(key);
    if (!message) found.push(`${who}: "${key}" was never sent`);
    else if (message.qos === 2 && count > 1) found.push(`${who}: QoS 2 "${key}" came ${count} times`);
  }
  for (const key of history.acknowledged) {
    if (wanted(history.sent.get(key).topic) && !counts.has(key)) found.push(`${who}: "${key}" was acknowledged and never came`);
  }
}

// The first copies of one publisher's messages of one QoS come in the order in which they were sent.
function checkOrder(history, who, list, found) {
  const last = new Map();
  for (const key of new Set(list)) {
    const message = history.sent.get(key);
    if (!message) continue;
    const lane = `${message.topic} ${message.publisher} ${message.qos}`;
    if (message.number < (last.get(lane) ?? -1)) found.push(`${who}: "${key}" came after ${last.get(lane)}`);
    last.set(lane, Math.max(last.get(lane) ?? -1, message.number));
  }
}

// Everything that may not have happened, as sentences.
export function check(history) {
  const found = [...history.wrong];
  for (const [who, list] of history.delivered) {
    checkCopies(history, who, list, isData, found);
    checkOrder(history, who, list, found);
  }
  checkCopies(history, 'workers', history.jobs, isJob, found);
  for (const { publisher, atLeast, atMost, got } of history.retained) {
    if (got === undefined ? atLeast >= 0 : got < atLeast || got > atMost) {
      found.push(`state/${publisher}: retained is ${got ?? 'nothing'}, ${atLeast} was acknowledged and ${atMost} sent`);
    }
  }
  return found;
}
