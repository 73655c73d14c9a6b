// All rows of the raw suite. A row: { name, run(context), 4: [ids of MQTT 3.1.1], 5: [ids of MQTT 5.0] }. It runs in the
// versions for which it names statements; an empty list runs it there and claims none. Nothing here needs a package, so
// that tools/mqtt-statements can read the rows anywhere.
import auth from './auth.mjs';
import connect from './connect.mjs';
import filters from './filters.mjs';
import limits from './limits.mjs';
import malformed from './malformed.mjs';
import publish from './publish.mjs';
import retained from './retained.mjs';
import session from './session.mjs';
import shared from './shared.mjs';
import subscribe from './subscribe.mjs';
import transport from './transport.mjs';
import will from './will.mjs';

export const versionName = { 4: '3.1.1', 5: '5.0' };
export const rows = [connect, malformed, session, publish, subscribe, filters, retained, will, shared, limits, auth, transport]
  .flat().map((row) => ({ ...row, versions: [4, 5].filter((version) => row[version]) }));
