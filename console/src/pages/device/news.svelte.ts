// What the stream says about the device on the page, for the sub-page that is shown.

import type { TelemetryEvent } from '../../api/types';

export class DeviceNews {
  /** The newest event, a new object each time. */
  latest = $state.raw<TelemetryEvent | null>(null);
  /** Counts connects, disconnects and refusals. */
  connections = $state(0);
  /** Counts interruptions of the stream: what was missed has to be loaded. */
  gaps = $state(0);

  private listeners = new Set<(event: TelemetryEvent) => void>();

  tell(event: TelemetryEvent): void {
    this.latest = event;
    for (const listener of this.listeners) listener(event);
  }

  /** Every event, also when several come in one piece. */
  follow(listener: (event: TelemetryEvent) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
